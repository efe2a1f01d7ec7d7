# As modules of nixpkgs do, asked or not: it sets what only NixOS's stage 1 reads.
{
  boot.initrd.preLVMCommands = "true";
  boot.initrd.systemd.services.lvm.script = "true";
}
