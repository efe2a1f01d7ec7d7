{ netboot }:
{
  # Add the machine's disks and boot loader.
  networking.hostName = "server";
  networking.firewall.allowedTCPPorts = [ 80 ];

  services.nginx = {
    enable = true;
    virtualHosts.default.locations = {
      "/node/".alias = "${netboot}/";
      "/node/images/" = {
        alias = "${netboot}/images/";
        # An image never changes under its name.
        extraConfig = ''add_header Cache-Control "public, max-age=31536000, immutable";'';
      };
    };
  };

  system.stateVersion = "26.11";
}
