# Boots an image over the network by iPXE, and runs a script on it. By default QEMU's own TFTP server has the image.
{ pkgs, nixos }:
let
  inherit (pkgs) lib;
  # It took `lib` and `pkgs` before NixOS 26.11, and takes `lib` and `stdenv` since.
  common = import (pkgs.path + "/nixos/lib/qemu-common.nix");
  qemu = common (
    builtins.intersectAttrs (builtins.functionArgs common) {
      inherit lib pkgs;
      inherit (pkgs) stdenv;
    }
  );

  imageOf =
    modules:
    (nixos (
      [
        ../modules/netboot.nix
        (pkgs.path + "/nixos/modules/testing/test-instrumentation.nix")
      ]
      ++ modules
    )).config.system.build;

  # With iPXE in the card's ROM, as QEMU ships it for BIOS and nixpkgs for UEFI.
  start =
    {
      netdev,
      uefi,
      memory,
    }:
    lib.concatStringsSep " " (
      [
        (qemu.qemuBinary pkgs.qemu_test)
        "-m ${toString memory}"
        "-boot order=n"
        "-netdev ${netdev},id=net0"
        "-device virtio-net-pci,netdev=net0${lib.optionalString uefi ",romfile=${pkgs.ipxe}/ipxe.efirom"}"
      ]
      ++ lib.optionals uefi [
        "-drive if=pflash,format=raw,unit=0,readonly=on,file=${pkgs.OVMF.firmware}"
        "-drive if=pflash,format=raw,unit=1,readonly=on,file=${pkgs.OVMF.variables}"
      ]
    );
in
{
  inherit imageOf;

  # script: Python, run when the machine is up. files: folders of what else the TFTP server has. nodes, before: other
  # machines, and Python that is run before this one starts. netdev: the network in the place of QEMU's own.
  test =
    {
      name,
      modules ? [ ],
      image ? (imageOf modules).netboot,
      bootfile ? "netboot.ipxe",
      files ? [ ],
      uefi ? pkgs.stdenv.hostPlatform.system == "aarch64-linux",
      memory ? 2048,
      nodes ? { },
      before ? "",
      netdev ? "user,tftp=${
        pkgs.symlinkJoin {
          name = "tftp";
          paths = [ image ] ++ files;
        }
      },bootfile=${bootfile}",
      script ? "",
    }:
    pkgs.testers.runNixOSTest {
      name = "storeboot-${name}";
      inherit nodes;
      testScript = ''
        ${before}
        machine = create_machine("${start { inherit netdev uefi memory; }}")
        machine.start()
        machine.wait_for_unit("multi-user.target")
        machine.succeed("nix-store --verify-path $(nix-store --query --requisites /run/current-system)")
        machine.fail("systemctl --failed --quiet | grep .")
        ${script}
        machine.shutdown()
      '';
    };
}
