# What a script that chains to ours, as netboot.xyz's does, puts into `cmdline` gets onto the kernel's command line.
{ boot, pkgs }:
boot.test {
  name = "chained";
  bootfile = "chain.ipxe";
  files = [
    (pkgs.writeTextDir "chain.ipxe" ''
      #!ipxe
      set cmdline three=3 systemd.log_level=info
      chain netboot.ipxe
    '')
  ];
  script = ''
    machine.succeed("grep -w three=3 /proc/cmdline")
  '';
}
