#!/bin/sh
# Boots this netboot directory from a running Linux, as root:
#
#   kexec-boot [--append-archive FILE]... [ARGUMENT]...
#
# Each ARGUMENT is added to the kernel command line.
#
# --append-archive adds a cpio archive (newc, compressed or not) to the initrd. The files in it are in the booted system,
# under the same names; so this lets you in there by the SSH keys by which you came in here:
#
#   cd / && find root/.ssh/authorized_keys etc/ssh/ssh_host_* | cpio -o -H newc >/var/tmp/keys.cpio
#   kexec-boot --append-archive /var/tmp/keys.cpio
#
# The initrd and the archives are put together in $TMPDIR or else /var/tmp, and this file goes again once it is loaded.
set -eu

fail() {
  echo "kexec-boot: $*" >&2
  exit 1
}

# What is said above.
case ${1:-} in
  -h | --help)
    while read -r line; do
      case $line in
        '#!'*) ;;
        '#'*)
          line=${line#?}
          printf '%s\n' "${line# }"
          ;;
        *) break ;;
      esac
    done <"$0"
    exit
    ;;
esac

# Adds a file to what becomes the initrd, and zero bytes up to where the kernel looks for the next archive, which is at
# a multiple of four. Four more tell it where an archive ends that is compressed by lz4.
add() {
  cat <"$1" >>"$joined" || fail "cannot copy $1 to $joined"
  size=$(wc -c <"$joined")
  dd if=/dev/zero bs=1 count=$((4 + (4 - size % 4) % 4)) 2>/dev/null >>"$joined"
}

append_archive() {
  [ -f "$1" ] || fail "there is no file $1"
  if [ -z "$joined" ]; then
    folder=${TMPDIR:-/var/tmp}
    [ -d "$folder" ] || folder=/tmp
    joined=$(mktemp "$folder/kexec-boot.XXXXXX") || fail "there is no place in $folder; say where there is by TMPDIR"
    add "$initrd"
    initrd=$joined
  fi
  add "$1"
}

# Takes the kernel and the initrd of a folder, if they are there. In NixOS's kexecTree they have other names.
look_in() {
  [ -n "$1" ] && here=$(CDPATH='' cd -- "$1" && pwd) || return
  for kernel in "$here/@kernel@" "$here/bzImage"; do
    for initrd in "$here/initrd" "$here/initrd.gz"; do
      if [ -f "$kernel" ] && [ -f "$initrd" ]; then
        return
      fi
    done
  done
  return 1
}

load() {
  kexec --load "$kernel" --initrd="$initrd" --command-line="$command_line$behind" "$@"
}

command -v kexec >/dev/null || fail "kexec is not installed; it comes with kexec-tools"
# Another folder with the files, for when there are none beside this script; NixOS's module names one.
built=
look_in "$(dirname -- "$0")" || look_in "$(dirname -- "$(readlink -f -- "$0")")" || look_in "$built" ||
  fail "there is no @kernel@ and initrd beside $0"
command_line='@command_line@'
behind=
joined=
trap 'rm -f "$joined"' EXIT
trap 'exit 1' HUP INT TERM

while [ $# -gt 0 ]; do
  case $1 in
    --append-archive)
      [ $# -ge 2 ] || fail "--append-archive wants a file"
      append_archive "$2"
      shift
      ;;
    --append-archive=*) append_archive "${1#*=}" ;;
    # The kernel hands on to init what follows.
    --)
      behind=" $*"
      break
      ;;
    --*) fail "there is no option $1; $0 --help tells which there are" ;;
    *) command_line="$command_line $1" ;;
  esac
  shift
done
@network@
# Kernels that are locked down take only what they can check themselves.
load || load --kexec-file-syscall || fail "kexec cannot load this system; what it says is above"
rm -f "$joined"

if [ -d /run/systemd/system ]; then
  exec systemctl kexec
fi
sync
exec kexec --exec
