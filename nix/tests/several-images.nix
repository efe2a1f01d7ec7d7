# A store of several images.
{ boot, ... }:
boot.test {
  name = "several-images";
  modules = [
    {
      netboot.imageLimit = 64 * 1024 * 1024;
      boot.initrd.systemd.enable = true;
    }
  ];
  script = ''
    machine.succeed("test $(losetup --list --noheadings | wc -l) -gt 1")
  '';
}
