# A netboot directory as one file that UEFI starts, and Secure Boot checks when it is signed: `$out/uki.efi`. Keys have no
# place in the store, so sign the file outside of it.
#
#   netboot    a netboot directory, such as makeNetboot's
#   stub       systemd's stub: "${systemd}/lib/systemd/boot/efi/linuxx64.efi.stub"
#   osRelease  an os-release file, whose PRETTY_NAME boot menus show
#   cmdline    more arguments for the kernel's command line; for layout "fetch" it has to say storeboot.store=URL, unless
#              the netboot directory's own has it
{ run, optional }:
{
  name ? "netboot-uki",
  netboot,
  stub,
  osRelease ? null,
  cmdline ? null,
}:
run
  {
    inherit name;
    graphs.closure = [ ];
  }
  (
    {
      action = "uki";
      netboot = "${netboot}";
      stub = "${stub}";
    }
    // optional {
      inherit cmdline;
      osRelease = if osRelease == null then null else "${osRelease}";
    }
  )
