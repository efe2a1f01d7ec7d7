# A system as NixOS has it, made of Debian's packages: systemd, udev, a login on the serial line, OpenSSH and Nix, with a
# top that holds `init`, `activate`, `kernel`, `kernel-modules` and `kernel-params`. What is tested with it would be
# tested with NixOS where nixpkgs can be had; docs/systemd.md tells where the two differ.
{
  system,
  makeNetboot,
  # A folder of Debian packages, made by scripts/systemd-packages.
  debs,
}:
let
  debian = import ../debian { inherit debs system; };
  inherit (debian) packages run;

  isKernel = name: builtins.match "linux-image-.*" name != null;
  # The one with the files; `linux-image-cloud-amd64` and its like only name the newest.
  isKernelFiles = name: builtins.match "linux-image-[0-9].*" name != null;
  names = builtins.attrNames packages;
  kernel = packages.${builtins.head (builtins.filter isKernelFiles names)};
  programs = map (name: packages.${name}) (builtins.filter (name: !(isKernel name)) names);

  cmdline = "console=${if system == "aarch64-linux" then "ttyAMA0" else "ttyS0"} quiet";

  # The static busybox under each of its names. Stage 2 runs by it: Debian's programs want /lib64, which stage 2 makes.
  applets = run {
    name = "busybox-applets";
    script = ../demo/applets.sh;
    package = packages.busybox-static;
  };

  kernelModules = run {
    name = "kernel-modules";
    script = ./kernel-modules.sh;
    inherit kernel programs;
  };

  systemPath = run {
    name = "system-path";
    script = ./system-path.sh;
    inherit kernelModules programs;
    own = builtins.path {
      name = "etc";
      path = ./etc;
    };
  };

  file =
    path:
    builtins.path {
      name = baseNameOf path;
      inherit path;
    };

  toplevel = run {
    name = "storeboot-systemd";
    script = ./toplevel.sh;
    inherit
      applets
      cmdline
      kernel
      kernelModules
      systemPath
      ;
    # What is in it under the same name, with places of other paths put in.
    scripts = map file [
      ./stage-2.sh
      ./activate.sh
      ./check.sh
      ../modules/netboot/root-password.sh
    ];
  };
in
makeNetboot {
  name = "storeboot-netboot-systemd";
  kernel = "${toplevel}/kernel";
  modules = "${toplevel}/kernel-modules";
  init = "${toplevel}/init";
  roots = [ toplevel ];
  inherit cmdline;
}
// {
  inherit toplevel;
}
