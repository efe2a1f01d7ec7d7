# Unpacks $deb into $out, and names the packages that it depends on where nixpkgs' packages do.
"$busybox" dpkg-deb -x "$deb" "$out"
"$busybox" mkdir "$out/nix-support"
echo "$depends" >"$out/nix-support/propagated-build-inputs"
