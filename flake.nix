{
  description = "NixOS closures as netboot images";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs";

  # What there is lies in default.nix; this only says it in a flake's words.
  outputs =
    { nixpkgs, ... }:
    let
      inherit (builtins) listToAttrs map;
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
    in
    {
      packages = forEach (system: {
        inherit (all.${system}) storeboot netboot_minimal netboot_demo;
        default = all.${system}.storeboot;
      });

      # makeNetboot and makeStoreImage, for each system.
      lib = forEach (system: all.${system}.lib);

      overlays.default = final: _: {
        storeboot = final.pkgsStatic.callPackage ./nix/package.nix { };
      };

      checks = forEach (system: {
        inherit (all.${system}) storeboot netboot_demo;
      });

      hydraJobs = {
        storeboot = forEach (system: all.${system}.storeboot);
        netboot_minimal = forEach (system: all.${system}.netboot_minimal);
      };
    };
}
