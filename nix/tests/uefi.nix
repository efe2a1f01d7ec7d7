# UEFI, iPXE, TFTP.
{ boot, ... }:
boot.test {
  name = "uefi";
  uefi = true;
  script = ''
    machine.succeed("test -d /sys/firmware/efi")
  '';
}
