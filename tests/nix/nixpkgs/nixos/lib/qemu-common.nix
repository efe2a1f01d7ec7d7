# A stand-in: the name of QEMU's program.
{ lib, pkgs }:
{
  qemuBinary = qemu: "${qemu}/bin/qemu-system-${builtins.head (lib.splitString "-" pkgs.stdenv.hostPlatform.system)}";
}
