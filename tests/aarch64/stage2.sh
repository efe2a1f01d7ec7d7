# Stage 2 of the tests: prints what it finds, one fact a line, and powers off.
fact() { name=$1; shift; echo "STAGE2 $name: $("$@" 2>&1)"; }
b() { "$busybox" "$@"; }

kind() {
  b awk -v place="$1" '$2 == place { kind = $3 } END { print kind }' /proc/mounts
}
hash() {
  b sha256sum "$data" | b cut -d ' ' -f 1
}
write() {
  echo written >/nix/store/new && b cat /nix/store/new
}
pivot() {
  b mkdir -p /mnt
  b unshare -m "$busybox" sh -c '
    b=$0
    $b mount -t tmpfs new /mnt && $b mkdir /mnt/old && cd /mnt && $b pivot_root . old && echo done' "$busybox"
}

fact machine b uname -m
fact pid echo "$$"
fact root kind /
fact store kind /nix/store
fact data hash
fact write write
fact pivot pivot
b poweroff -f
