# The scripted stage 1, which NixOS removes after 26.11.
{ boot, ... }:
boot.test {
  name = "stage1-script";
  modules = [
    {
      boot.initrd.systemd.enable = false;
      boot.initrd.postMountCommands = "echo seen >$targetRoot/witness";
    }
  ];
  script = ''
    machine.succeed("grep seen /witness")
    machine.succeed("findmnt --types squashfs /nix/.ro-store")
    machine.succeed("findmnt --types overlay /nix/store")
  '';
}
