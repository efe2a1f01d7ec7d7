{
  description = "Many machines without a disk, and the server that they boot from";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    storeboot.url = "path:../..";
    storeboot.inputs.nixpkgs.follows = "nixpkgs";
  };

  # Point your DHCP server at http://server/node/netboot.ipxe, for machines with iPXE.
  outputs =
    {
      self,
      nixpkgs,
      storeboot,
    }:
    let
      inherit (self.nixosConfigurations.node.config.system.build) netboot;
    in
    {
      nixosConfigurations = {
        # `nix build` makes the image of all nodes: result/initrd, result/images …
        node = nixpkgs.lib.nixosSystem {
          system = "x86_64-linux";
          modules = [
            storeboot.nixosModules.netboot
            ./node.nix
          ];
        };

        # `nixos-rebuild switch --flake .#server` on the server serves the nodes' new image.
        server = nixpkgs.lib.nixosSystem {
          system = "x86_64-linux";
          modules = [ (import ./server.nix { inherit netboot; }) ];
        };
      };

      packages.x86_64-linux.default = netboot;
    };
}
