# The name of the kernel in a netboot directory, whatever the kernel package calls it.
pkgs: if pkgs.stdenv.hostPlatform.isAarch64 then "Image" else "bzImage"
