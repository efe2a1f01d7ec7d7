# systemd as stage 1 deletes what is left in the initrd; the store's files are not among that.
{ boot, ... }:
boot.test {
  name = "stage1-systemd-direct";
  memory = 6144;
  modules = [
    {
      boot.initrd.systemd.enable = true;
      netboot.layout = "direct";
    }
  ];
  script = ''
    machine.fail("findmnt --types squashfs,overlay /nix/store")
  '';
}
