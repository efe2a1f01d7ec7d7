# The store is mounted read-only: nothing lies over it that could be written to.
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
    machine.succeed("findmnt --types squashfs --options ro /nix/store")
    machine.fail("findmnt --types overlay")
    machine.fail("test -e /nix/.rw-store")
  '';
}
