# The store is mounted read-only.
{ boot, ... }:
boot.test {
  name = "read-only";
  modules = [
    {
      netboot.readOnlyStore = true;
      netboot.stage1 = "storeboot";
    }
  ];
  script = ''
    machine.fail("touch /nix/store/new")
    machine.succeed("findmnt --options ro /nix/store")
  '';
}
