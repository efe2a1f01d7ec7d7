# A stage 1 that does what NixOS's scripted one does: mount what the kernel shows, load modules, mount the file systems
# under /mnt-root, switch_root. Like NixOS's, it has its programs in /nix/store. `how=` says by which way it gets the store.
b() { "$busybox" "$@"; }
say() { echo "OTHER $*"; }
fail() {
  say "failed: $*"
  b poweroff -f
}

if [ "$(b cat /how)" = early ]; then
  b mkdir -p /run && b mount -t devtmpfs devtmpfs /dev
  /storeboot/attach; say "early: $?"
fi
b mkdir -p /proc /sys /dev /run /mnt-root
b mount -t proc proc /proc
b mount -t sysfs sysfs /sys
b mount -t devtmpfs devtmpfs /dev 2>/dev/null
b mount -t tmpfs -o mode=0755 tmpfs /run
for word in $(b cat /proc/cmdline); do
  case $word in
    init=*) init=${word#init=} ;;
    how=*) how=${word#how=} ;;
  esac
done
for module in loop squashfs overlay; do
  b insmod "/lib/$module.ko" || fail "insmod $module"
done
if [ -e /lib/dm-verity.ko ]; then
  for module in dm-mod dm-bufio reed_solomon dm-verity; do
    b insmod "/lib/$module.ko" || fail "insmod $module"
  done
fi
# As NixOS's script does in layout `fetch`, where the initrd has the drivers of network cards.
if [ -e /lib/virtio_net.ko ]; then
  for module in failover net_failover virtio_net; do
    b insmod "/lib/$module.ko" || fail "insmod $module"
  done
  b ip address add 10.0.2.15/24 dev eth0 && b ip link set dev eth0 up || fail "no network"
fi
# systemd shares all mounts; a script does not. Either has to do.
[ -e /shared ] && b mount --make-rshared /
# The NixOS module's commands call these; so does NixOS's script.
mkdir() { b mkdir "$@"; }
mount() { b mount "$@"; }
targetRoot=/mnt-root
# NixOS's script runs no commands between one mount and the next.
if [ "$how" = module ]; then . /before-mounts; fi
b mount -t tmpfs -o mode=0755 tmpfs /mnt-root

overlay() {
  b mkdir -p /mnt-root/nix/store /mnt-root/nix/.rw-store
  b mount -t tmpfs -o mode=0755 tmpfs /mnt-root/nix/.rw-store
  b mkdir /mnt-root/nix/.rw-store/store /mnt-root/nix/.rw-store/work
  local n=/mnt-root/nix
  b mount -t overlay overlay -o "lowerdir=$1,upperdir=$n/.rw-store/store,workdir=$n/.rw-store/work" $n/store
}

case $how in
  nixpkgs)
    b mkdir -p /mnt-root/nix/.ro-store
    b mount -t squashfs -o loop,ro ../nix-store.squashfs /mnt-root/nix/.ro-store || fail mount
    overlay /mnt-root/nix/.ro-store
    ;;
  module)
    # As the module's file systems are in its two shapes, and as a system that mounts its store by itself.
    if [ -e /storeboot/ro-store ]; then
      b mkdir -p /mnt-root/nix/.ro-store
      b mount -t none -o bind ../storeboot/ro-store /mnt-root/nix/.ro-store || fail mount
      overlay /mnt-root/nix/.ro-store
    elif [ -e /nix-store-elsewhere.squashfs ]; then
      b mkdir -p /mnt-root/nix/store
      b mount -t squashfs -o loop,ro /nix-store-elsewhere.squashfs /mnt-root/nix/store || fail mount
    fi
    . /after-mounts
    ;;
  devices)
    /storeboot/attach || fail "attach: $?"
    /storeboot/attach || fail "attach, again: $?"
    lower=
    for device in /dev/storeboot/*; do
      place=/mnt-root/nix/.ro-store${device##*/}
      b mkdir -p "$place"
      b mount -t squashfs -o ro "$device" "$place" || fail "mount $device"
      lower=$lower:$place
    done
    overlay "${lower#:}"
    ;;
  store)
    /storeboot/attach --store /mnt-root/nix/.ro-store || fail "attach: $?"
    overlay /mnt-root/nix/.ro-store
    ;;
  root)
    /storeboot/attach --root /mnt-root || fail "attach: $?"
    ;;
  misused)
    for arguments in "--root /" "--root /etc" "--store" "--help"; do
      /storeboot/attach $arguments; say "misused, $arguments: $?"
    done
    /init; say "misused, init: $?"
    fail end
    ;;
esac

for device in /sys/block/loop*/loop; do
  [ -e "$device" ] && say "device $device: $(b cat "$device/backing_file")"
done
# What is shared cannot be moved; systemd, too, has its mounts to itself again before it goes.
b mount --make-rprivate /
for place in /proc /sys /dev /run; do
  b mkdir -p /mnt-root$place
  b mount --move $place /mnt-root$place
done
exec "$busybox" env -i /bin/busybox switch_root /mnt-root "$init"
fail switch_root
