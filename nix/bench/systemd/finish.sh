#!@applets@/bin/busybox sh
# Tells what was read up to multi-user.target. Then, as the kernel's command line says, writes the boot profile to the
# second serial port, or reads the whole store. Powers off.
PATH=@applets@/bin

@out@/tell multi-user
if grep -qw storeboot.profile /proc/cmdline; then
  touch /run/storeboot/profile.stop
  while [ -e /run/storeboot/profile.stop ]; do usleep 100000; done
  echo "storeboot-bench: profile" >/dev/ttyS1
  cat /run/storeboot/profile >/dev/ttyS1
  echo "storeboot-bench: end" >/dev/ttyS1
fi
if grep -qw storeboot-bench.read /proc/cmdline; then
  echo 3 >/proc/sys/vm/drop_caches
  @out@/tell read-from
  find /nix/store -xdev -type f -exec cat {} + >/dev/null
  @out@/tell read-to
fi
poweroff -f
