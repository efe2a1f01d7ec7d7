# BIOS, iPXE, TFTP; and what the configuration has on the kernel's command line is there.
{ boot, ... }:
boot.test {
  name = "bios";
  uefi = false;
  modules = [ { boot.kernelParams = [ "one=1" ]; } ];
  script = ''
    machine.succeed("grep -w one=1 /proc/cmdline")
    machine.fail("test -d /sys/firmware/efi")
  '';
}
