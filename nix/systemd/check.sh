#!/bin/bash
# Waits until the system is up, and tells whether it is sound in lines that begin with "ok" or "FAIL".
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
export HOME=/root
profile=/nix/var/nix/profiles/system
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One check: what it shows, then the command. What the command prints is shown, too.
check() {
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok   $what${said:+: $said}"
  else
    failed=$((failed + 1))
    echo "FAIL $what"
    [ -z "$said" ] || sed 's/^/       /' <<<"$said"
  fi
}

# The file system that a path is on.
kind() { findmnt --noheadings --first-only --output FSTYPE --target "$1"; }

systemd_is_first() { [ "$(readlink -f /proc/1/exe)" = "$(readlink -f /lib/systemd/systemd)" ]; }

runs() {
  local state
  state=$(systemctl is-system-running --wait)
  [ "$state" = running ] || { systemctl --failed --no-legend --plain; systemctl list-jobs --no-pager; return 1; }
  echo "$state"
}

nothing_failed() {
  local units
  units=$(systemctl --failed --no-legend --plain)
  [ -z "$units" ] || { echo "$units"; return 1; }
}

active() { systemctl is-active "$@" >/dev/null || systemctl --no-pager status "$@"; }

pivot() {
  unshare --mount sh -ec '
    mkdir -p /tmp/new
    mount -t tmpfs tmpfs /tmp/new
    mkdir /tmp/new/old
    cd /tmp/new
    pivot_root . old
  '
}

store_is_read_only() {
  ! touch /nix/store/.probe 2>/dev/null && [ ! -e /nix/store/.probe ] && kind /nix/store
}

password_is_set() {
  local words
  words=$(grep -o 'live.nixos.[a-zA-Z]*' /proc/cmdline)
  if [ -n "$words" ]; then
    ! grep -q '^root::' /etc/shadow && active netboot-root-password && echo "as $words says"
  else
    grep -q '^root::' /etc/shadow && echo "none"
  fi
}

profile_is_this_system() {
  [ -e /etc/NIXOS ] && [ "$(readlink -f "$profile")" = "$(readlink -f /run/current-system)" ] && echo "$profile"
}

# The unit has run by now, so nothing changes.
registers_again() {
  local generations
  systemctl restart register-nix-paths || { systemctl --no-pager status register-nix-paths; return 1; }
  generations=$(nix-env -p "$profile" --list-generations | wc -l)
  [ "$generations" = 1 ] || { echo "$generations generations"; return 1; }
}

every_path_registered() {
  local path paths=0
  for path in /nix/store/*-*; do
    [ "$path" != /nix/store/nix-path-registration ] || continue
    paths=$((paths + 1))
    echo "$path"
  done >"$work/paths"
  xargs nix-store --query --hash <"$work/paths" >"$work/hashes" || return 1
  echo "$(wc -l <"$work/hashes") paths"
}

verify_contents() { nix-store --verify --check-contents >"$work/log" 2>&1 || { cat "$work/log"; return 1; }; }

write_to_store() {
  local path
  echo 'written after boot' >"$work/note"
  path=$(nix-store --add "$work/note") && cmp "$work/note" "$path" && echo "$path"
}

build_by_daemon() {
  local path
  cat >"$work/build.nix" <<'NIX'
derivation {
  name = "built-here";
  system = builtins.currentSystem;
  builder = "${builtins.storePath "@applets@"}/bin/busybox";
  args = [ "sh" "-c" "id -un > $out" ];
}
NIX
  path=$(NIX_REMOTE=daemon nix-build --no-out-link "$work/build.nix" 2>"$work/log") || { cat "$work/log"; return 1; }
  # In the sandbox it is another name than outside.
  cat "$path"
}

module_loads() { modprobe dummy && [ -d /sys/module/dummy ]; }

listens() { ss --tcp --listening --numeric --no-header 'sport = :22' | grep -q .; }

check "systemd is process 1" systemd_is_first
check "the system is running" runs
check "no unit failed" nothing_failed
check "multi-user.target is reached" active multi-user.target
check "a login waits on the serial line" active "serial-getty@$(sed 's/.* //' /sys/class/tty/console/active).service"
check "udev and the network daemon run" active systemd-udevd systemd-networkd
check "the SSH server listens" listens
check "a kernel module loads" module_loads
check "pivot_root works in a new mount namespace" pivot
check "the store is read-only" store_is_read_only
check "root's password is as the command line says" password_is_set
check "the profile is this system" profile_is_this_system
check "registering the store again changes nothing" registers_again
check "every path in the store is registered" every_path_registered
check "nix-store --verify --check-contents finds no fault" verify_contents
check "nix-store --add writes to the store" write_to_store
check "nix-daemon builds, in its sandbox" build_by_daemon

echo
awk '
  $1 == "MemTotal:" { total = $2 }
  $1 == "MemAvailable:" { printf "    memory    %d MiB in all, %d MiB available\n", total / 1024, $2 / 1024 }
' /proc/meminfo
systemd-analyze | sed 's/^/storeboot-systemd: /'
echo "storeboot-systemd: $passed checks passed, $failed failed"
[ "$failed" = 0 ]
