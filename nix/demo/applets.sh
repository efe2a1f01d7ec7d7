# Links $out/bin/NAME to busybox for every name that it answers to.
PATH=
for folder in usr/bin bin; do
  if [ -x "$package/$folder/busybox" ]; then target=$package/$folder/busybox; fi
done
"$busybox" mkdir -p "$out/bin"
for name in $("$busybox" --list) busybox; do
  "$busybox" ln -sf "$target" "$out/bin/$name"
done
