# From a running NixOS, by the files of kexecTree copied to another place.
{ boot, pkgs }:
let
  image = boot.imageOf [ { networking.hostName = "booted"; } ];
in
pkgs.testers.runNixOSTest {
  name = "storeboot-kexec";
  nodes.machine = {
    virtualisation.memorySize = 4096;
    environment.systemPackages = [ pkgs.kexec-tools ];
    system.extraDependencies = [ image.kexecTree ];
  };
  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.succeed("touch /run/before", "cp -rL ${image.kexecTree} /root/tree")
    machine.execute("/root/tree/kexec-boot two=2 &", check_output=False)
    machine.connected = False
    machine.connect()
    machine.wait_for_unit("multi-user.target")
    machine.fail("test -e /run/before")
    machine.succeed("grep -w two=2 /proc/cmdline", "test $(hostname) = booted")
    machine.shutdown()
  '';
}
