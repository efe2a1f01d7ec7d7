//! Boots a netboot directory in every way, with every layout. docs/ways-in.md has the configuration of each way, and
//! the table.

#[path = "ways_in/archive.rs"]
mod archive;
#[path = "ways_in/archives.rs"]
mod archives;
#[path = "ways_in/grub.rs"]
mod grub;
#[path = "ways_in/ipxe.rs"]
mod ipxe;
#[path = "ways_in/kexec.rs"]
mod kexec;
#[path = "ways_in/kexec_script.rs"]
mod kexec_script;
#[path = "ways_in/machine.rs"]
mod machine;
#[path = "ways_in/qemu_kernel.rs"]
mod qemu_kernel;
#[path = "ways_in/systems.rs"]
mod systems;
#[path = "ways_in/tftp.rs"]
mod tftp;

/// Makes a test for each layout of a way to boot.
macro_rules! ways {
    ($($name:ident = $way:path;)*) => {
        $(mod $name {
            use storeboot_index::Layout;

            #[test]
            fn in_place() {
                $way(Layout::InPlace);
            }

            #[test]
            fn file() {
                $way(Layout::File);
            }

            #[test]
            fn direct() {
                $way(Layout::Direct);
            }

            #[test]
            fn fetch() {
                $way(Layout::Fetch);
            }
        })*
    };
}

#[test]
fn boots_with_an_archive_for_each_store_path() {
    qemu_kernel::boots_by_paths();
}

#[test]
fn does_not_boot_by_ipxe_what_it_cannot_check() {
    ipxe::ends_where_nothing_is_checked();
}

ways! {
    boots_by_qemu_kernel = crate::qemu_kernel::boots;
    boots_by_ipxe_http_bios = crate::ipxe::http_bios;
    boots_by_ipxe_http_uefi = crate::ipxe::http_uefi;
    boots_by_ipxe_segments_bios = crate::ipxe::segments_bios;
    boots_by_ipxe_segments_uefi = crate::ipxe::segments_uefi;
    boots_by_ipxe_tftp_bios = crate::tftp::ipxe_bios;
    boots_by_pxelinux_bios = crate::tftp::pxelinux_bios;
    boots_by_pxe_grub_uefi = crate::tftp::grub_uefi;
    boots_by_grub_bios = crate::grub::bios;
    boots_by_grub_uefi = crate::grub::uefi;
    boots_by_kexec = crate::kexec::boots;
    boots_with_own_archives = crate::archives::boots;
}
