# A system that refers to all of $packages.
PATH=
"$busybox" mkdir "$out"
for folder in "$kernel" "$kernel/usr"; do
  if [ -d "$folder/lib/modules" ]; then "$busybox" ln -s "$folder" "$out/kernel-modules"; fi
done
"$busybox" ln -s "$kernel"/boot/vmlinu* "$out/kernel"
for package in $packages; do
  echo "$package"
done >"$out/packages"

for file in "$shell/usr/bin/busybox" "$shell/bin/busybox"; do
  if [ -x "$file" ]; then interpreter=$file; fi
done
"$busybox" cat >"$out/init" <<INIT
#!$interpreter sh
read -r uptime _ </proc/uptime
echo "storeboot-bench: stage 2 reached \$uptime s after the kernel's start"
while read -r key value _; do
  case \$key in MemTotal: | MemAvailable:) echo "storeboot-bench: \$key \$value kB" ;; esac
done </proc/meminfo
exec $interpreter poweroff -f
INIT
"$busybox" chmod +x "$out/init"
