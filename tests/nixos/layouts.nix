# Each stage 1, in each layout, under each of nixpkgs' profiles that one boots from the network.
{
  lib,
  modulesOf,
  perStage1,
  ...
}:
let
  bases = {
    minimal = "profiles/minimal.nix";
    installer = "profiles/installation-device.nix";
    netboot-minimal = "installer/netboot/netboot-minimal.nix";
  };
  layouts = {
    default = { };
    in-place.netboot.layout = "in-place";
    file.netboot.layout = "file";
    direct.netboot.layout = "direct";
    fetch.netboot.layout = "fetch";
  };
  retained = config: lib.elem "retain_initrd" config.boot.kernelParams;
in
lib.concatMapAttrs (
  base: profile:
  lib.concatMapAttrs (
    layout: module:
    perStage1 "layout/${base}/${layout}" {
      modules = [
        (modulesOf profile)
        module
      ];
      expect = config: {
        "the root is a tmpfs" = config.fileSystems."/".fsType == "tmpfs";
        "the initrd is retained in layout in-place only" = retained config == (config.netboot.layout == "in-place");
      };
    }
  ) layouts
) bases
