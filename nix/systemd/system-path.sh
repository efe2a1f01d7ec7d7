# One tree of links to the files of all $programs, with Debian's merged /usr: /bin, /sbin and /lib* are parts of it. A
# package's own links stay as they are, since systemd reads the names that unit files are linked by.
PATH=
merge() {
  local from=$1 to=$2 name
  # Through a link, what is put into one package's folder would get into another's store path.
  (cd "$from" && "$busybox" find . -type d) | while read -r name; do
    if [ -L "$to/$name" ]; then
      echo "system-path: $from/$name is a folder, and a link in another package" >&2
      exit 1
    fi
  done
  "$busybox" mkdir -p "$to"
  for name in "$from"/*; do
    if [ -e "$name" ] || [ -L "$name" ]; then "$busybox" cp -rsf "$name" "$to/"; fi
  done
  # The folders of a store path are read-only, and the next package has something to put into them.
  "$busybox" find "$to" -type d ! -perm -u+w -exec "$busybox" chmod u+w {} +
  (cd "$from" && "$busybox" find . -type l) | while read -r name; do
    "$busybox" rm -f "$to/$name"
    "$busybox" cp -d "$from/$name" "$to/$name"
  done
}

"$busybox" mkdir -p "$out/usr" "$out/etc"
for package in $programs; do
  for part in bin sbin lib lib64; do
    if [ -d "$package/$part" ]; then merge "$package/$part" "$out/usr/$part"; fi
  done
  for part in usr etc; do
    if [ -d "$package/$part" ]; then merge "$package/$part" "$out/$part"; fi
  done
done
for part in bin sbin lib lib64; do
  if [ -d "$out/usr/$part" ]; then "$busybox" ln -s "usr/$part" "$out/$part"; fi
done
# Documentation is not read on the machine.
for part in bug doc doc-base info lintian locale man; do
  "$busybox" rm -rf "$out/usr/share/$part"
done
"$busybox" rm -rf "$out/etc/init.d" "$out/etc/sv" "$out/etc/runit"

# What Debian's packages do when they are installed.
"$busybox" ln -s "$kernelModules/lib/modules" "$out/usr/lib/modules"
"$busybox" ln -s bash "$out/usr/bin/sh"
"$busybox" ln -s mawk "$out/usr/bin/awk"
"$busybox" ln -s ../usr/share/base-files/profile "$out/etc/profile"
merge "$own" "$out/etc"

# `systemctl enable` for each: the target that wants it, and the unit.
units=/usr/lib/systemd/system
enable() {
  "$busybox" mkdir -p "$out/etc/systemd/system/$1.wants"
  "$busybox" ln -s "$units/$2" "$out/etc/systemd/system/$1.wants/$2"
}
enable multi-user.target ssh.service
enable multi-user.target systemd-networkd.service
enable sockets.target systemd-networkd.socket
enable sockets.target nix-daemon.socket
# Units of ours, from ./etc.
enable_own() {
  "$busybox" mkdir -p "$out/etc/systemd/system/$1.wants"
  "$busybox" ln -s "../$2" "$out/etc/systemd/system/$1.wants/$2"
}
enable_own sysinit.target register-nix-paths.service
enable_own sysinit.target netboot-root-password.service
enable_own multi-user.target demo-check.service
"$busybox" ln -s "$units/multi-user.target" "$out/etc/systemd/system/default.target"
# It looks for partitions beside the one that /usr is on; here /usr is a link.
"$busybox" mkdir -p "$out/etc/systemd/system-generators"
"$busybox" ln -s /dev/null "$out/etc/systemd/system-generators/systemd-gpt-auto-generator"
