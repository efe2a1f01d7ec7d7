{
  description = "NixOS's installer from the network, with your SSH keys in it";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    storeboot.url = "path:../..";
    storeboot.inputs.nixpkgs.follows = "nixpkgs";
  };

  # `nix build` makes the image. `nix build .#kexec` makes a folder that starts the image from any running Linux: copy the
  # folder there (`rsync --copy-links`) and run kexec-boot.
  outputs =
    {
      self,
      nixpkgs,
      storeboot,
    }:
    {
      nixosConfigurations.installer = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          storeboot.nixosModules.netboot-minimal
          ./configuration.nix
        ];
      };

      packages.x86_64-linux =
        let
          inherit (self.nixosConfigurations.installer.config.system) build;
        in
        {
          default = build.netboot;
          kexec = build.kexecTree;
        };
    };
}
