# What a NixOS system has at its top, for the demo.
PATH=
"$busybox" mkdir "$out"

# Newer Debians keep /lib below /usr.
for folder in "$linux" "$linux/usr"; do
  if [ -d "$folder/lib/modules" ]; then "$busybox" ln -s "$folder" "$out/kernel-modules"; fi
done
"$busybox" ln -s "$linux"/boot/vmlinu* "$out/kernel"
"$busybox" ln -s "$environment" "$out/sw"

echo "console=ttyS0 panic=-1 quiet" >"$out/kernel-params"
echo "storeboot demo" >"$out/nixos-version"

"$busybox" sed -e "s|@applets@|$applets|g" -e "s|@toplevel@|$out|g" "$stage2" >"$out/init"
"$busybox" chmod +x "$out/init"
