# Stage 2 of the tests: prints what it finds, one fact a line, and powers off.
say() { echo "STAGE2 $*"; }
fact() { name=$1; shift; say "$name:" "$("$@" 2>&1)"; }
b() { "$busybox" "$@"; }

pivot() {
  b unshare -m "$busybox" sh -c '
    b=$0
    $b mount -t tmpfs new /mnt && $b mkdir /mnt/old && cd /mnt && $b pivot_root . old && echo done' "$busybox"
}
write() {
  echo text >/nix/store/written && b cat /nix/store/written
}
# Files from the archives before and behind storeboot's own.
kept() {
  for file in root root/.ssh root/.ssh/authorized_keys run/keys run/keys/key own etc etc/ssh etc/ssh/keys etc/ssh/keys/host etc/ssh/host; do
    b stat -c '%n=%a:%u:%g' "/$file"
  done
  b cat /root/.ssh/authorized_keys && echo && b cat /etc/ssh/host && echo && b sha256sum </own
}

b mkdir -p /mnt
say "pid: $$"
say "name: $0"
say "arguments: $*"
say "environment: HOME=$HOME TERM=$TERM fruit=$fruit"
fact executable b readlink /proc/1/exe
fact root b ls -A /
fact mounts b awk '{ printf "%s=%s ", $2, $3 }' /proc/mounts
fact store b awk '$2 == "/nix/store" { print $4 }' /proc/mounts
fact modes b stat -c '%n=%a:%u:%g' / /run
# NixOS's stage 2 does this first.
b mount -o remount,rw none /
say "remount: $?"
[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && say "console: yes"
fact files b ls /proc/self/fd
fact shmem b awk '$1 == "Shmem:" { print $2 }' /proc/meminfo
fact data b sha256sum /nix/store/11111111111111111111111111111111-data/data
fact link b cat /nix/store/11111111111111111111111111111111-data/link
fact write write
[ -e /own ] && fact kept kept
fact pivot pivot
say end
b poweroff -f
