#!@applets@/bin/busybox sh
# Tells what was read up to stage 2, has systemd start the unit that tells it again, and starts the system.
PATH=@applets@/bin

mounted() { [ "$(stat -c %d "$1")" != "$(stat -c %d "$1/..")" ]; }
mkdir -p /proc /sys /dev /run
mounted /proc || mount -t proc -o nosuid,noexec,nodev proc /proc
mounted /sys || mount -t sysfs -o nosuid,noexec,nodev sysfs /sys
mounted /dev || mount -t devtmpfs -o mode=0755,nosuid devtmpfs /dev
mounted /run || mount -t tmpfs -o mode=0755,nosuid,nodev,strictatime tmpfs /run

@out@/tell stage-2
mkdir -p /run/systemd/system/multi-user.target.wants
ln -s @out@/storeboot-bench.service /run/systemd/system/storeboot-bench.service
ln -s ../storeboot-bench.service /run/systemd/system/multi-user.target.wants/storeboot-bench.service
exec @top@/init "$@"
