# The demo's system: a kernel, Nix itself and a shell from Debian packages, with an `init` that tells whether the store
# it was booted from is whole and works. Shaped as a NixOS system is, so that what packs it need not know the difference.
{
  debs,
  system ? builtins.currentSystem,
}:
let
  debian = import ../debian { inherit debs system; };

  names = builtins.attrNames debian.packages;
  isKernel = name: builtins.match "linux-image-.*" name != null;
  # The one with the files; `linux-image-cloud-amd64` and its like only name the newest.
  isKernelFiles = name: builtins.match "linux-image-[0-9].*" name != null;

  linux = debian.packages.${builtins.head (builtins.filter isKernelFiles names)};

  # A command line under every name that busybox answers to.
  applets = debian.run "busybox-applets" ./applets.sh { package = debian.packages.busybox-static; };

  # What /bin, /lib, /usr … of the booted machine are links to.
  environment = debian.union "demo-environment" (
    map (name: debian.packages.${name}) (builtins.filter (name: !(isKernel name)) names)
  );
in
debian.run "storeboot-demo" ./toplevel.sh {
  inherit applets environment linux;
  stage2 = builtins.path {
    name = "stage-2.sh";
    path = ./stage-2.sh;
  };
}
