#!@applets@/bin/busybox sh
# Writes a line to the second serial port: a name for the point that the boot has reached, the seconds since the kernel's
# start, the bytes that were read of the store's devices, the kB of memory that are still available, and the bytes that came
# over the network.
PATH=@applets@/bin

read -r uptime _ </proc/uptime
sectors=0
for stat in /sys/block/loop*/stat /sys/block/nbd*/stat; do
  if [ -e "$stat" ]; then
    read -r _ _ read _ <"$stat"
    sectors=$((sectors + read))
  fi
done
received=0
for link in /sys/class/net/*; do
  if [ "${link##*/}" != lo ] && read -r bytes <"$link/statistics/rx_bytes"; then
    received=$((received + bytes))
  fi
done
while read -r key value _; do
  if [ "$key" = MemAvailable: ]; then available=$value; fi
done </proc/meminfo
echo "storeboot-bench: $1 $uptime $((sectors * 512)) $available $received" >/dev/ttyS1
