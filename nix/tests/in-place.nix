# The store is mounted where the boot loader put it, and can be written to.
{ boot, ... }:
boot.test {
  name = "in-place";
  modules = [
    {
      netboot.layout = "in-place";
      netboot.stage1 = "storeboot";
    }
  ];
  script = ''
    machine.succeed("grep /sys/firmware/initrd /sys/block/loop*/loop/backing_file")
    machine.succeed("nix-store --add /etc/os-release")
  '';
}
