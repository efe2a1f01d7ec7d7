# The kernel unpacks the store's files themselves: no image, no loop device, no overlay.
{ boot, ... }:
boot.test {
  name = "direct";
  memory = 6144;
  modules = [
    {
      netboot.layout = "direct";
      netboot.stage1 = "storeboot";
    }
  ];
  script = ''
    machine.fail("findmnt --types squashfs,overlay /nix/store")
    machine.succeed("nix-store --add /etc/os-release")
  '';
}
