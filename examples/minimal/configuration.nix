{ pkgs, ... }:
{
  # Starts the system directly, without NixOS's initrd.
  netboot.stage1 = "storeboot";

  networking.hostName = "page";
  networking.useDHCP = true;
  networking.firewall.allowedTCPPorts = [ 80 ];

  services.nginx = {
    enable = true;
    virtualHosts.default.root = pkgs.writeTextDir "index.html" "<p>This machine has no disk.</p>";
  };

  system.stateVersion = "26.11";
}
