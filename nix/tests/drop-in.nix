# nixpkgs' own netboot-minimal.nix with our module in the place of netboot.nix, and the files put together as nixpkgs' boot
# test does.
{ boot, pkgs }:
let
  modules = [ (pkgs.path + "/nixos/modules/installer/netboot/netboot-minimal.nix") ];
  image = boot.imageOf modules;
in
boot.test {
  name = "drop-in";
  image = pkgs.symlinkJoin {
    name = "ipxe-boot-dir";
    paths = [
      image.netbootRamdisk
      image.kernel
      image.netbootIpxeScript
    ];
  };
  memory = 4096;
}
