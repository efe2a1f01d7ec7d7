# What the demo is made of, from a folder of Debian packages.
{ debs, system }:
let
  debian = import ../debian { inherit debs system; };

  names = builtins.attrNames debian.packages;
  isKernel = name: builtins.match "linux-image-.*" name != null;
  # The one with the files; `linux-image-cloud-amd64` and its like only name the newest.
  isKernelFiles = name: builtins.match "linux-image-[0-9].*" name != null;
  linux = debian.packages.${builtins.head (builtins.filter isKernelFiles names)};
in
{
  inherit (debian) run;
  kernel = linux;
  modules = linux;

  # A command under every name that busybox answers to.
  applets = debian.run {
    name = "busybox-applets";
    script = ./applets.sh;
    package = debian.packages.busybox-static;
  };

  # What /bin, /lib, /usr … of the booted machine are links to.
  environment = debian.union "demo-environment" (
    map (name: debian.packages.${name}) (builtins.filter (name: !(isKernel name)) names)
  );
}
