# A program that boots a netboot directory in QEMU, on the terminal it is started in. Ctrl-A X ends it.
{ pkgs }:
name: netboot:
let
  machine =
    {
      x86_64-linux = {
        qemu = "qemu-system-x86_64 -machine q35,accel=kvm:tcg -cpu max";
        console = "ttyS0";
        kernel = "bzImage";
      };
      aarch64-linux = {
        qemu = "qemu-system-aarch64 -machine virt,accel=kvm:tcg -cpu max";
        console = "ttyAMA0";
        kernel = "Image";
      };
    }
    .${pkgs.stdenv.hostPlatform.system};
  script = pkgs.writeShellScriptBin "run-${name}" ''
    # Arguments are added to the kernel's command line; MEMORY is in MiB.
    exec ${pkgs.qemu}/bin/${machine.qemu} -m "''${MEMORY:-2048}" -nographic -no-reboot \
      -nic user,model=virtio-net-pci -device virtio-rng-pci \
      -kernel ${netboot}/${machine.kernel} -initrd ${netboot}/initrd \
      -append "$(cat ${netboot}/kernelAppend) console=${machine.console} $*"
  '';
in
{
  type = "app";
  program = "${script}/bin/run-${name}";
}
