# How a derivation runs the storeboot command, for the functions beside this file.
{ storeboot, system }:
let
  # The result has the closure's files in it, so the store need not keep the closure's paths for it.
  # Nix 2.14 and 2.15 have this as an experimental feature; older ones do not have it.
  discardReferences =
    if builtins.compareVersions builtins.nixVersion "2.16" >= 0 then
      { unsafeDiscardReferences.out = true; }
    else
      { };
in
{
  # `graphs` are lists of store paths, each under the name that the command knows its closure by.
  run =
    { name, graphs }:
    attributes:
    derivation (
      {
        inherit name system;
        builder = storeboot.program or "${storeboot}/bin/storeboot";
        # Nix 2.8 sets the variable to the file's name outside of the sandbox; inside, the file is in the folder that
        # a build starts in.
        args = [
          "nix-builder"
          "--attributes"
          ".attrs.json"
        ];
        __structuredAttrs = true;
        # A string copies a path of a Nix file into the store.
        exportReferencesGraph = builtins.mapAttrs (_: map (root: "${root}")) graphs;
        storeboot = attributes;
      }
      // discardReferences
    );

  # Drops what is null: the command has the defaults.
  optional = set: builtins.removeAttrs set (builtins.filter (name: set.${name} == null) (builtins.attrNames set));
}
