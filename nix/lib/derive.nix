# How a derivation runs the storeboot command, for the functions beside this file.
{ storeboot, system }:
let
  # The result holds the closure, so it need not drag the closure's paths along in the store that it was built in.
  # From 2.14 to 2.15 this was an experiment that had to be switched on, and before that Nix did not know it.
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
        # Said here since Nix 2.8 names the file as it is called outside of the sandbox; inside, it lies in the
        # folder that a build starts in.
        args = [
          "nix-builder"
          "--attributes"
          ".attrs.json"
        ];
        __structuredAttrs = true;
        # Strings, so that a path from a Nix file is in the store before its references are asked for.
        exportReferencesGraph = builtins.mapAttrs (_: map (root: "${root}")) graphs;
        storeboot = attributes;
      }
      // discardReferences
    );

  # What was left out is left out for the command too: its defaults are written in one place, and not here.
  optional = set: builtins.removeAttrs set (builtins.filter (name: set.${name} == null) (builtins.attrNames set));
}
