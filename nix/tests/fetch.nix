# The images come from nginx, after a small initrd did.
{ boot, ... }:
let
  inherit (boot.imageOf [
    {
      netboot.layout = "fetch";
      netboot.stage1 = "storeboot";
    }
  ]) netboot;
in
boot.test {
  name = "fetch";
  # That of the server, which the test driver makes.
  netdev = "vde,sock=$QEMU_VDE_SOCKET_1";
  nodes.server = {
    networking.firewall.enable = false;
    services.nginx.enable = true;
    services.nginx.virtualHosts.default.root = netboot;
    services.dnsmasq.enable = true;
    services.dnsmasq.settings = {
      interface = "eth1";
      dhcp-range = "192.168.1.100,192.168.1.200";
      dhcp-boot = "http://192.168.1.1/netboot.ipxe";
    };
  };
  before = ''
    server.wait_for_unit("nginx.service")
    server.wait_for_unit("dnsmasq.service")
  '';
  script = ''
    machine.succeed("findmnt --types squashfs /nix/.ro-store")
    machine.succeed("nix-store --add /etc/os-release")
    server.succeed("grep 'GET /images/' /var/log/nginx/access.log")
  '';
}
