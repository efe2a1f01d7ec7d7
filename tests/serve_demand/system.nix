# A system of four store paths, from files beside this one. It is shaped as a NixOS system is.
version:
derivation {
  name = "machine";
  system = "@system@";
  # By its name, busybox knows what it is.
  builder = "${./tools}/busybox";
  args = [
    "sh"
    ./build.sh
  ];
  kernel = ./bzImage;
  modules = ./modules;
  busybox = "${./tools}/busybox";
  inherit version;
}
