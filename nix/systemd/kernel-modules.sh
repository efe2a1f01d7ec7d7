# The kernel's modules with the indexes that udev and modprobe read. A Debian package has none: they are made when it is
# installed, by the same depmod.
PATH=
for folder in "$kernel" "$kernel/usr"; do
  for modules in "$folder"/lib/modules/*; do
    if [ -d "$modules/kernel" ]; then found=$modules; fi
  done
done
release=${found##*/}
"$busybox" mkdir -p "$out/lib/modules/$release"
for part in "$found"/*; do
  "$busybox" ln -s "$part" "$out/lib/modules/$release/"
done

# The package's program looks for its loader and libraries where only an installed system has them.
libraries=
for package in $programs; do
  for folder in "$package"/lib/*-linux-gnu "$package"/usr/lib/*-linux-gnu; do
    if [ -d "$folder" ]; then libraries=$libraries:$folder; fi
  done
  for file in "$package"/lib/*-linux-gnu/ld-linux-*.so.? "$package"/usr/lib/*-linux-gnu/ld-linux-*.so.?; do
    if [ -e "$file" ]; then loader=$file; fi
  done
  for file in "$package/bin/kmod" "$package/usr/bin/kmod"; do
    if [ -e "$file" ]; then kmod=$file; fi
  done
done
"$loader" --argv0 depmod --library-path "${libraries#:}" "$kmod" -b "$out" "$release"
