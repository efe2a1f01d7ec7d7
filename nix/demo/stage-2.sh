#!@applets@/bin/busybox sh
# Stage 2 of the demo: process 1 of the booted machine. It makes the store's packages usable, checks that the store
# arrived whole and can be worked with, and says so in lines that begin with "ok" or "FAIL".
# With `demo.interactive` on the kernel's command line a shell follows; without, the machine powers off.

export PATH=/bin:/usr/bin:/sbin:/usr/sbin:@applets@/bin
export HOME=/root
passed=0
failed=0

at() { [ "$(stat -c %d "$1")" != "$(stat -c %d "$1/..")" ]; }
mkdir -p /proc /sys /dev /tmp /run /root /etc
[ -e /proc/self ] || mount -t proc proc /proc
read -r uptime _ </proc/uptime
[ -e /sys/kernel ] || mount -t sysfs sysfs /sys
[ -e /dev/null ] || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
at /dev/pts || mount -t devpts devpts /dev/pts
at /tmp || mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp

# One check: what it shows, then the command. What the command prints is shown when it fails.
check() {
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok   $what${said:+: $said}"
  else
    failed=$((failed + 1))
    echo "FAIL $what"
    [ -z "$said" ] || echo "$said" | sed 's/^/       /'
  fi
}

memory() { awk -v key="$1:" '$1 == key { printf "%d", $2 / 1024 }' /proc/meminfo; }
option() { grep -qw -- "$1" /proc/cmdline; }

# Debian's programs look for their libraries and for each other in these places.
for name in bin sbin lib lib64 usr; do
  for target in "@toplevel@/sw/$name" "@toplevel@/sw/usr/$name"; do
    [ -e "/$name" ] || [ ! -e "$target" ] || ln -s "$target" "/$name"
  done
done
hostname storeboot-demo
echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
echo 'root:x:0:' >/etc/group
mkdir -p /etc/nix
printf '%s\n' 'build-users-group =' 'substituters =' 'sandbox = true' 'sandbox-fallback = false' >/etc/nix/nix.conf

cat <<BANNER

  ┌──────────────────────────────────────────────────────────────┐
  │  storeboot demo: this machine runs from its initrd alone     │
  └──────────────────────────────────────────────────────────────┘
    kernel    $(uname -r), process $$ is $0
    stage 2   reached $uptime s after the kernel's start
    memory    $(memory MemTotal) MiB in all, $(memory MemAvailable) MiB available
    store     $(ls /nix/store | grep -c '^[0-9a-z]\{32\}-') paths in /nix/store
    root      $(awk '$2 == "/" && $1 != "rootfs" { fs = $3 } END { print fs ? fs : "rootfs" }' /proc/mounts)

BANNER

is_first() { [ $$ = 1 ]; }

store_takes_writes() {
  echo written >/nix/store/.probe && [ "$(cat /nix/store/.probe)" = written ] && rm /nix/store/.probe || return 1
  awk '$2 == "/nix/store" { fs = $3 } END { print fs ? fs : "a part of /" }' /proc/mounts
}

load_registration() {
  nix-store --load-db </nix/store/nix-path-registration || return 1
  local paths
  paths=$(nix-store --query --requisites @toplevel@ | wc -l)
  [ "$paths" -gt 0 ] && echo "$paths paths"
}

every_path_registered() {
  for path in /nix/store/*-*; do
    [ "$path" = /nix/store/nix-path-registration ] || nix-store --query --hash "$path" >/dev/null || return 1
  done
}

verify_contents() {
  # It names every path on the way; that is worth showing only when there is a fault.
  nix-store --verify --check-contents >/tmp/verify.log 2>&1 || { cat /tmp/verify.log; return 1; }
}

write_to_store() {
  echo 'written after boot' >/tmp/note
  local path
  path=$(nix-store --add /tmp/note) && cmp /tmp/note "$path" && echo "$path"
}

pivot() {
  unshare -m sh -ec '
    mkdir -p /tmp/new
    mount -t tmpfs tmpfs /tmp/new
    mkdir /tmp/new/old
    cd /tmp/new
    pivot_root . old
  '
}

build_in_sandbox() {
  cat >/tmp/build.nix <<'NIX'
derivation {
  name = "built-here";
  system = builtins.currentSystem;
  builder = "${builtins.storePath "@applets@"}/bin/busybox";
  args = [ "sh" "-c" "echo built in a sandbox > $out" ];
}
NIX
  local path
  path=$(nix-build --no-out-link /tmp/build.nix 2>/tmp/build.log) && echo "$path" || { cat /tmp/build.log; return 1; }
}

check "this is process 1" is_first
check "a file can be written to /nix/store" store_takes_writes
check "nix-store --load-db takes the registration" load_registration
check "every path in the store is registered" every_path_registered
check "nix-store --verify --check-contents finds no fault" verify_contents
check "nix-store --add writes to the store" write_to_store
check "pivot_root works in a new mount namespace" pivot
check "nix-build works, in its sandbox" build_in_sandbox

echo
echo "storeboot-demo: $passed checks passed, $failed failed"
echo

if option demo.interactive; then
  echo "A shell on the booted machine; leave it with 'exit' or Ctrl-D, and the machine powers off."
  cd /root
  export PS1='[\u@\h \w]\$ '
  setsid cttyhack bash -i
fi
sync
poweroff -f
