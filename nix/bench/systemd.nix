# The system of ../systemd, with an init that tells what the boot has read: at stage 2, and at multi-user.target. Then
# it powers off.
{
  debs,
  # A folder of more Debian packages, which lie in the store and are not read by the boot: those of a desktop.
  more ? null,
  system ? builtins.currentSystem,
}:
let
  debian = import ../debian { inherit debs system; };
  others = if more == null then { } else (import ../debian { inherit system; debs = more; }).packages;
  top = (import ../.. { inherit debs system; }).netboot_systemd.toplevel;
in
debian.run {
  name = "storeboot-bench-systemd";
  script = ./systemd.sh;
  inherit top;
  applets = debian.run {
    name = "busybox-applets";
    script = ../demo/applets.sh;
    package = debian.packages.busybox-static;
  };
  packages = builtins.attrValues others;
  scripts = map (path: builtins.path { name = baseNameOf path; inherit path; }) [
    ./systemd/init.sh
    ./systemd/tell.sh
    ./systemd/finish.sh
  ];
}
