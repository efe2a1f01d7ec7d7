# The kernel unpacks the store's image to a file.
{ boot, ... }:
boot.test {
  name = "file";
  modules = [
    {
      netboot.layout = "file";
      netboot.stage1 = "storeboot";
    }
  ];
  script = ''
    machine.succeed("findmnt --types squashfs /nix/.ro-store")
    machine.succeed("nix-store --add /etc/os-release")
  '';
}
