# The layers that suit a NixOS configuration, for makeNetboot:
#
#   makeNetboot { layers = nixosLayers config; … }
#
# From what changes seldom to what changes often, each a root that the system's toplevel links to, and so surely in its
# closure:
#
#   the kernel, its modules and the firmware   a new kernel
#   systemd and Nix, with all they need        a new nixpkgs
#   the packages in the system's path          a package more or less
#
# What is in no layer — the files in /etc, the units, the services' own packages — goes into the image on top, which is
# packed again with every change.
#
# A system with replaced dependencies has no layers: its toplevel links to copies of these paths.
config:
let
  when = condition: value: if condition then [ value ] else [ ];
in
if config.system.replaceDependencies.replacements or [ ] != [ ] then
  [ ]
else
  builtins.filter (layer: layer != [ ]) [
    # A container has no kernel of its own.
    (
      if config.boot.kernel.enable or true then
        [
          config.system.build.kernel
          config.system.modulesTree
        ]
        ++ when (config.hardware ? firmware) config.hardware.firmware
      else
        [ ]
    )
    ([ config.systemd.package ] ++ when (config.nix.enable or true) config.nix.package)
    [ config.system.path ]
  ]
