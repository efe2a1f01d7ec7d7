# A system like $top, with an init around that of $top.
PATH=
"$busybox" mkdir "$out"
for name in kernel kernel-modules kernel-params; do
  "$busybox" ln -s "$top/$name" "$out/$name"
done
for package in $packages; do
  echo "$package"
done >"$out/packages"

for script in $scripts; do
  name=${script##*/}
  name=${name#*-}
  "$busybox" sed -e "s|@applets@|$applets|g" -e "s|@top@|$top|g" -e "s|@out@|$out|g" "$script" >"$out/${name%.sh}"
  "$busybox" chmod +x "$out/${name%.sh}"
done

# Without default dependencies, since multi-user.target would wait for what it wants.
"$busybox" cat >"$out/storeboot-bench.service" <<UNIT
[Unit]
Description=The end of a measurement
DefaultDependencies=no
After=multi-user.target

[Service]
Type=oneshot
ExecStart=$out/finish
TimeoutStartSec=infinity
UNIT
