# What a booted system does about Nix's database and about who may log in, as with nixpkgs' module.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.netboot;
  nix = config.nix.package;
in
{
  boot.postBootCommands = lib.mkMerge [
    (lib.mkIf cfg.registerDatabase ''
      # Tells Nix what came with the initrd; its database is in memory and empty.
      ${nix}/bin/nix-store --load-db < /nix/store/nix-path-registration

      # nixos-rebuild wants a NixOS, and a profile `system` to add to.
      touch /etc/NIXOS
      ${nix}/bin/nix-env -p /nix/var/nix/profiles/system --set /run/current-system
    '')

    ''
      # root's password from the kernel's command line, if root has none: for nixos-anywhere and its like.
      for word in $(< /proc/cmdline); do
        case $word in
          live.nixos.passwordHash=*)
            ${pkgs.gnugrep}/bin/grep -q "^root::" /etc/shadow && ${pkgs.shadow}/bin/usermod -p "''${word#*=}" root
            ;;
          live.nixos.password=*)
            ${pkgs.gnugrep}/bin/grep -q "^root::" /etc/shadow && echo "root:''${word#*=}" | ${pkgs.shadow}/bin/chpasswd
            ;;
        esac
      done
    ''
  ];
}
