#!/bin/busybox sh
# A stage 1 as others are: it mounts what the kernel shows, loads modules, sets up the network, and switches the root.
b() { /bin/busybox "$@"; }
b mkdir -p /proc /sys /dev /run /mnt-root
b mount -t proc proc /proc
b mount -t sysfs sysfs /sys
b mount -t devtmpfs devtmpfs /dev
b mount -t tmpfs -o mode=0755 tmpfs /run
for word in $(b cat /proc/cmdline); do
  case $word in
    init=*) init=${word#init=} ;;
    how=*) how=${word#how=} ;;
  esac
done
# What needs another module is loaded once that is there.
for round in 1 2 3 4; do
  for module in /storeboot/modules/*.ko; do b insmod "$module" 2>/dev/null; done
done
b ip addr add 10.0.2.15/24 dev eth0
b ip link set eth0 up
b mount -t tmpfs -o mode=0755 tmpfs /mnt-root
if [ "$how" = devices ]; then
  # Twice, as a service that starts again would.
  /storeboot/attach && /storeboot/attach || b poweroff -f
  n=/mnt-root/nix
  b mkdir -p $n/store $n/.ro-store $n/.rw-store
  b mount -t squashfs -o ro /dev/storeboot/0 $n/.ro-store
  b mount -t tmpfs tmpfs $n/.rw-store
  b mkdir $n/.rw-store/store $n/.rw-store/work
  b mount -t overlay -o "lowerdir=$n/.ro-store,upperdir=$n/.rw-store/store,workdir=$n/.rw-store/work" overlay $n/store
else
  /storeboot/attach --root /mnt-root || b poweroff -f
fi
b echo ATTACHED
for place in proc sys dev run; do
  b mkdir -p "/mnt-root/$place"
  b mount --move "/$place" "/mnt-root/$place"
done
exec /bin/busybox switch_root /mnt-root "$init"
