# The demo: a kernel, Nix itself and a shell, with an `init` that tells whether the store it was booted from is whole and
# works. Shaped as a NixOS system is, so that what packs it need not know the difference.
{
  system,
  makeNetboot,
  # A folder of Debian packages, or nixpkgs.
  debs,
  pkgs,
}:
let
  parts = if debs != null then import ./debian.nix { inherit debs system; } else import ./nixpkgs.nix { inherit pkgs system; };

  # Few messages of the kernel between those of the demo; and a panic ends the machine, and so QEMU.
  cmdline = "console=${if system == "aarch64-linux" then "ttyAMA0" else "ttyS0"} panic=-1 quiet";

  toplevel = parts.run {
    name = "storeboot-demo";
    script = ./toplevel.sh;
    inherit (parts) applets environment kernel modules;
    inherit cmdline;
    stage2 = builtins.path {
      name = "stage-2.sh";
      path = ./stage-2.sh;
    };
  };
in
makeNetboot {
  name = "storeboot-netboot-demo";
  kernel = "${toplevel}/kernel";
  modules = "${toplevel}/kernel-modules";
  init = "${toplevel}/init";
  roots = [ toplevel ];
  inherit cmdline;
}
// {
  inherit toplevel;
}
