{
  # A small initrd, which gets the store from where netboot.ipxe came from.
  netboot.layout = "fetch";
  netboot.stage1 = "storeboot";

  # The kernel, systemd and the packages are images of their own: a build after a change of the configuration brings one
  # new image, and a cache between server and machines keeps the others.
  netboot.layers = "nixos";

  # Firmware for the network cards that need it.
  hardware.enableRedistributableFirmware = true;

  # A machine that has a disk with this label fetches only what changed.
  # netboot.fetch.keep = "LABEL=store";

  networking.hostName = "";
  networking.useDHCP = true;

  system.stateVersion = "26.11";
}
