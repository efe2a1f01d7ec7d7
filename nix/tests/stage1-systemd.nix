# systemd as stage 1: a unit of the user's runs in it, and the store is found in the retained initrd.
{ boot, ... }:
boot.test {
  name = "stage1-systemd";
  modules = [
    {
      boot.initrd.systemd.enable = true;
      boot.initrd.systemd.services.witness = {
        wantedBy = [ "initrd.target" ];
        script = "echo seen >/run/witness";
      };
    }
  ];
  script = ''
    machine.succeed("grep seen /run/witness")
    machine.succeed("findmnt --types overlay /nix/store")
  '';
}
