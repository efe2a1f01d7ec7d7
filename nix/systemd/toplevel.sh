# What a NixOS system has at its top.
PATH=
"$busybox" mkdir "$out"
for file in "$kernel"/boot/vmlinu*; do
  if [ -e "$file" ]; then "$busybox" ln -s "$file" "$out/kernel"; fi
done
"$busybox" ln -s "$kernelModules" "$out/kernel-modules"
"$busybox" ln -s "$systemPath" "$out/sw"
"$busybox" ln -s "$systemPath/etc" "$out/etc"
echo "$cmdline" >"$out/kernel-params"
echo "storeboot systemd" >"$out/nixos-version"

for script in $scripts; do
  name=${script##*/}
  name=${name#*-}
  name=${name%.sh}
  if [ "$name" = stage-2 ]; then name=init; fi
  "$busybox" sed -e "s|@applets@|$applets|g" -e "s|@systemPath@|$systemPath|g" -e "s|@toplevel@|$out|g" "$script" >"$out/$name"
  "$busybox" chmod +x "$out/$name"
done
