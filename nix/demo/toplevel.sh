# What a NixOS system has at its top, for the demo.
PATH=
"$busybox" mkdir "$out"

# Newer Debians keep /lib below /usr.
for folder in "$modules" "$modules/usr"; do
  if [ -d "$folder/lib/modules" ]; then "$busybox" ln -s "$folder" "$out/kernel-modules"; fi
done
for file in "$kernel"/boot/vmlinu* "$kernel/bzImage" "$kernel/Image"; do
  if [ -e "$file" ]; then "$busybox" ln -s "$file" "$out/kernel"; fi
done
"$busybox" ln -s "$environment" "$out/sw"
echo "$cmdline" >"$out/kernel-params"
echo "storeboot demo" >"$out/nixos-version"

"$busybox" sed -e "s|@applets@|$applets|g" -e "s|@toplevel@|$out|g" "$stage2" >"$out/init"
"$busybox" chmod +x "$out/init"
