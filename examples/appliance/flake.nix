{
  description = "A database that boots from the network and keeps its data in a ZFS pool";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    storeboot.url = "path:../..";
    storeboot.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      storeboot,
    }:
    {
      nixosConfigurations.database = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          storeboot.nixosModules.netboot-zfs-appliance
          ./configuration.nix
        ];
      };

      packages.x86_64-linux.default = self.nixosConfigurations.database.config.system.build.netboot;
    };
}
