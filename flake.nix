{
  description = "NixOS closures as netboot images";

  # A release, so that an update brings what has been tested together. flake.lock and nix/pin.nix name the revision.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  # What there is lies in default.nix; this only says it in a flake's words.
  outputs =
    { nixpkgs, ... }:
    let
      inherit (builtins) listToAttrs map mapAttrs;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = f: listToAttrs (map (name: { inherit name; value = f name; }) systems);
      all = forEach (
        system:
        import ./. {
          inherit system;
          pkgs = nixpkgs.legacyPackages.${system};
        }
      );
      # What is the same on every system and needs no package.
      common = import ./. { system = "x86_64-linux"; };
    in
    {
      packages = forEach (system: {
        inherit (all.${system}) storeboot netboot_minimal netboot_demo;
        default = all.${system}.storeboot;
      });

      # makeNetboot, makeStoreImage and the others of nix/lib.nix, for each system.
      lib = forEach (system: all.${system}.lib);

      inherit (common) overlays;

      nixosModules = common.nixosModules // {
        default = common.nixosModules.netboot;
      };

      checks = forEach (
        system:
        {
          inherit (all.${system}) storeboot netboot_demo;
        }
        // all.${system}.tests
      );

      # With a description, since `nix flake check` warns of apps that have none.
      apps = forEach (
        system:
        let
          apps = mapAttrs (
            name: app: { meta.description = "Boots ${name} in QEMU"; } // app
          ) all.${system}.apps;
        in
        apps // { default = apps.netboot_minimal; }
      );

      hydraJobs = {
        storeboot = forEach (system: all.${system}.storeboot);
        netboot_minimal = forEach (system: all.${system}.hydra.netboot_minimal);
        tests = forEach (system: all.${system}.tests);
      };
    };
}
