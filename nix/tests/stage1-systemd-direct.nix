# systemd as stage 1 deletes the files of the initrd when it is done, but not those of the store.
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
