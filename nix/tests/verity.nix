# The kernel checks each block of the store against a hash tree when it reads it.
{ boot, ... }:
boot.test {
  name = "verity";
  modules = [
    {
      netboot.verity = true;
      netboot.stage1 = "storeboot";
    }
  ];
  script = ''
    machine.succeed("grep -x storeboot-0 /sys/block/dm-0/dm/name")
    machine.succeed("nix-store --verify --check-contents")
  '';
}
