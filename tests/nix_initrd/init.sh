# Makes an `init` that prints the path it was started as, and powers off.
for program in "$package/bin/busybox" "$package/usr/bin/busybox"; do
  if [ -e "$program" ]; then found=$program; fi
done
"$busybox" mkdir "$out"
"$busybox" cat >"$out/init" <<END
#!$found sh
b() { $found "\$@"; }
b mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
echo "INITRD started as \$0"
echo "INITRD note: \$(b cat /etc/note)"
echo "INITRD folders: \$(b ls / | b tr '\n' ' ')"
echo "INITRD prepended: \$(b cat /prepended)"
b poweroff -f
END
"$busybox" chmod +x "$out/init"
