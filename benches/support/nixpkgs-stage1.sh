#!/bin/busybox sh
# Does what the stage 1 of nixpkgs' netboot does on this machine: loads the modules, mounts a tmpfs as the root, mounts the
# store image from rootfs on a loop device, mounts an overlay over it, and runs switch_root, which empties rootfs.
PATH=/bin
root=/mnt-root

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs -o size=5% devtmpfs /dev
mkdir /run
mount -t tmpfs -o mode=0755,size=25% tmpfs /run
for word in $(cat /proc/cmdline); do
  case $word in init=*) init=${word#init=} ;; esac
done
for module in loop squashfs overlay; do
  insmod /lib/modules/$module.ko
done

store=$root/nix
mkdir $root
mount -t tmpfs -o mode=0755 tmpfs $root
mkdir -p $store/.ro-store $store/.rw-store $store/store
mount -t squashfs -o loop,ro /nix-store.squashfs $store/.ro-store
mount -t tmpfs -o mode=0755 tmpfs $store/.rw-store
mkdir $store/.rw-store/store $store/.rw-store/work
mount -t overlay -o lowerdir=$store/.ro-store,upperdir=$store/.rw-store/store,workdir=$store/.rw-store/work overlay $store/store

for place in proc sys dev run; do
  mkdir -p $root/$place
  mount -o move /$place $root/$place
done
exec env -i /bin/switch_root $root $init
