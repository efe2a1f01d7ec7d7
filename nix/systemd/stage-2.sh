#!@applets@/bin/busybox sh
# Stage 2, in the order of NixOS's stage-2-init.sh: what a system needs before its systemd runs, then systemd itself. It
# takes nothing from stage 1 but the store and a root that can be written to; what is mounted already stays.
export PATH=@applets@/bin:/usr/bin:/usr/sbin
export HOME=/root
umask 022

mounted() { [ "$(stat -c %d "$1")" != "$(stat -c %d "$1/..")" ]; }
mkdir -p /proc /sys /dev /run
mounted /proc || mount -t proc -o nosuid,noexec,nodev proc /proc
mounted /sys || mount -t sysfs -o nosuid,noexec,nodev sysfs /sys
mounted /dev || mount -t devtmpfs -o mode=0755,nosuid devtmpfs /dev
mounted /run || mount -t tmpfs -o mode=0755,nosuid,nodev,strictatime tmpfs /run

read -r uptime _ </proc/uptime
echo
echo "<<< storeboot's Debian-built system: stage 2 reached $uptime s after the kernel's start >>>"
echo

# The store is read-only to everybody but Nix, which mounts it writable for itself.
mount --bind /nix/store /nix/store
mount -o remount,bind,ro,nosuid,nodev /nix/store

@toplevel@/activate || echo "stage 2: the activation failed; going on" >/dev/console
ln -sfn @toplevel@ /run/booted-system

exec env -i TERM="${TERM:-linux}" /lib/systemd/systemd "$@"
