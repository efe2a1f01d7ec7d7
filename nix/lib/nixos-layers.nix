# The layers that suit a NixOS configuration, for makeNetboot:
#
#   makeNetboot { layers = nixosLayers config; … }
#
# The paths that change least come first. The system's toplevel links to each of them, so each is in its closure:
#
#   the kernel, its modules and the firmware   a new kernel
#   systemd and Nix, with all they need        a new nixpkgs
#   the packages in the system's path          a package more or less
#
# The paths that are in no layer, such as the files of /etc, the units and the services' packages, go into the image on
# top, which every build packs again.
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
