# The images are checked before they are mounted.
{ boot, ... }:
boot.test {
  name = "verify";
  modules = [
    {
      netboot.verify = true;
      netboot.stage1 = "storeboot";
    }
  ];
  script = ''
    machine.succeed("grep -w storeboot.verify /proc/cmdline")
    machine.succeed("nix-store --verify --check-contents")
  '';
}
