# NixOS tests: machines that nixpkgs' test driver boots. One file a case.
{
  pkgs,
  nixos,
}:
let
  boot = import ./boot.nix { inherit pkgs nixos; };
  test = file: import file { inherit boot pkgs; };
in
{
  uefi = test ./uefi.nix;
  chained = test ./chained.nix;
  kexec = test ./kexec.nix;
  drop-in = test ./drop-in.nix;
  in-place = test ./in-place.nix;
  profile = test ./profile.nix;
  file = test ./file.nix;
  direct = test ./direct.nix;
  fetch = test ./fetch.nix;
  stage1-systemd = test ./stage1-systemd.nix;
  stage1-systemd-direct = test ./stage1-systemd-direct.nix;
  several-images = test ./several-images.nix;
  verify = test ./verify.nix;
  verity = test ./verity.nix;
  read-only = test ./read-only.nix;
  sandbox = test ./sandbox.nix;
}
# For as long as NixOS has it.
// pkgs.lib.optionalAttrs (builtins.pathExists (pkgs.path + "/nixos/modules/system/boot/stage-1-init.sh")) {
  stage1-script = test ./stage1-script.nix;
}
// pkgs.lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
  bios = test ./bios.nix;
}
