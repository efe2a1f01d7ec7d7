PATH=
"$busybox" mkdir "$out"
"$busybox" ln -s "$kernel" "$out/kernel"
"$busybox" ln -s "$modules" "$out/kernel-modules"
echo "console=ttyS0 panic=-1 no_timer_check" >"$out/kernel-params"
cat="$busybox cat"
$cat >"$out/init" <<END
#!$busybox sh
PATH=
echo "STAGE2 version $version of \$($busybox cat /proc/cmdline)"
echo "STAGE2 host \$($busybox ls /nix/store | $busybox wc -l)"
$busybox poweroff -f
END
"$busybox" chmod +x "$out/init"
