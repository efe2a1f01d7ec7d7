# The closure that storeboot is measured on: a few hundred Debian packages, one store path each, and a system that
# refers to them all. Its `init` tells when it was reached and powers off.
{
  debs,
  system ? builtins.currentSystem,
}:
let
  debian = import ../debian { inherit debs system; };
  inherit (debian) packages;

  isKernelFiles = name: builtins.match "linux-image-[0-9].*" name != null;
in
debian.run {
  name = "storeboot-bench";
  script = ./toplevel.sh;
  kernel = packages.${builtins.head (builtins.filter isKernelFiles (builtins.attrNames packages))};
  shell = packages.busybox-static;
  packages = builtins.attrValues packages;
}
