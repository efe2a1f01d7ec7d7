{
  description = "A machine that boots from the network and serves a page";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    storeboot.url = "path:../..";
    storeboot.inputs.nixpkgs.follows = "nixpkgs";
  };

  # `nix build` makes the image: result/bzImage, result/initrd, result/netboot.ipxe …
  outputs =
    {
      self,
      nixpkgs,
      storeboot,
    }:
    {
      nixosConfigurations.page = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          storeboot.nixosModules.netboot
          ./configuration.nix
        ];
      };

      packages.x86_64-linux.default = self.nixosConfigurations.page.config.system.build.netboot;
    };
}
