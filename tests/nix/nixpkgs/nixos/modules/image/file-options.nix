# As in nixpkgs, since NixOS 25.05.
{ config, lib, ... }:
let
  text = default: lib.mkOption { type = lib.types.str; inherit default; };
in
{
  options.image = {
    baseName = text "nixos-image-${config.system.nixos.label}";
    extension = lib.mkOption { type = lib.types.str; };
    fileName = text "${config.image.baseName}.${config.image.extension}";
    filePath = text config.image.fileName;
  };
}
