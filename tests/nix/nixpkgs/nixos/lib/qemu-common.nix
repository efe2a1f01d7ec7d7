# A stand-in, with the arguments that nixpkgs 26.11 takes: QEMU's program and its machine.
{ lib, stdenv }:
let
  processor = builtins.head (lib.splitString "-" stdenv.hostPlatform.system);
in
{
  qemuBinary = qemu: "${qemu}/bin/qemu-system-${processor} -cpu max";
}
