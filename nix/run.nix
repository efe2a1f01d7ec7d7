# A program that boots a netboot directory in QEMU, on the terminal it is started in. Ctrl-A X ends it.
{ pkgs }:
name: netboot:
let
  inherit (pkgs.stdenv) hostPlatform;
  machine =
    {
      x86_64-linux = "qemu-system-x86_64 -machine q35,accel=kvm:tcg -cpu max";
      aarch64-linux = "qemu-system-aarch64 -machine virt,accel=kvm:tcg -cpu max";
    }
    .${hostPlatform.system};
  console = if hostPlatform.system == "aarch64-linux" then "ttyAMA0" else "ttyS0";
  script = pkgs.writeShellScriptBin "run-${name}" ''
    # Arguments are added to the kernel's command line; MEMORY is in MiB.
    exec ${pkgs.qemu}/bin/${machine} -m "''${MEMORY:-2048}" -nographic -no-reboot \
      -nic user,model=virtio-net-pci -device virtio-rng-pci \
      -kernel ${netboot}/${hostPlatform.linux-kernel.target} -initrd ${netboot}/initrd \
      -append "$(cat ${netboot}/kernelAppend) console=${console} $*"
  '';
in
{
  type = "app";
  program = "${script}/bin/run-${name}";
}
