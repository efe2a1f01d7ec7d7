#!@applets@/bin/busybox sh
# Makes this system the current one: the places that Debian's programs are compiled to look at, /etc, and the users.
set -e
export PATH=@applets@/bin:/usr/bin:/usr/sbin
umask 022

ln -sfn @toplevel@ /run/current-system
mkdir -p /etc /home /mnt /srv /var/empty /var/lib /var/log
mkdir -p -m 0700 /root
mkdir -p -m 1777 /tmp /var/tmp

# /usr and what Debian has as parts of it. A folder from an archive of the user's stays as it is.
place() { [ -e "$2" ] && [ ! -L "$2" ] || ln -sfn "$1" "$2"; }
place @systemPath@/usr /usr
for part in bin sbin lib lib64; do
  if [ -d "/usr/$part" ]; then place "usr/$part" "/$part"; fi
done

# Links to the store, but folders that can be written to.
ln -sfn @toplevel@/etc /etc/static
cp -dRf /etc/static/. /etc/
find /etc -type d ! -perm -u+w -exec chmod u+w {} +
echo storeboot >/etc/hostname

# Users as the packages declare them. Root has no password, as on NixOS's installer: sshd lets nobody in without one.
SYSTEMD_LOG_LEVEL=warning systemd-sysusers
sed -i 's/^root:[^:]*:/root::/' /etc/shadow

# This is no first boot that systemd should set up, and nothing in /etc waits to be made anew from /usr.
[ -s /etc/machine-id ] || SYSTEMD_LOG_LEVEL=warning systemd-machine-id-setup
touch /etc/.updated /var/.updated
