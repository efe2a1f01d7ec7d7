//! Reads kernels of Debian, in different compressions.

use storeboot::kernel::{Architecture, KernelForm, KernelImage};
use storeboot_tests::qemu::{self, Kernel};

fn read(kernel: &Kernel) -> KernelImage {
    KernelImage::read(kernel.image()).expect("a kernel that can be booted")
}

/// Debian's 6.1 supports `initramfs_options=`, although its release (6.1.0-…) does not show that. It is compressed with
/// LZ4.
#[test]
fn debian_6_1() {
    let Some(kernel) = Kernel::debian("6.1") else {
        return;
    };
    let found = read(&kernel);
    assert_eq!(found.architecture, Architecture::X86_64);
    assert_eq!(found.form, KernelForm::BzImage);
    assert_eq!((found.version.major, found.version.minor), (6, 1));
    assert_eq!(found.initramfs_options(), Some(true), "{found:?}");
}

/// This kernel is compressed with zstd.
#[test]
fn debian_6_12() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let found = read(&kernel);
    assert_eq!((found.version.major, found.version.minor), (6, 12));
    assert_eq!(found.initramfs_options(), Some(true), "{found:?}");
}

/// This kernel is not compressed.
#[test]
fn debian_6_12_for_aarch64() {
    let Some(kernel) = Kernel::debian_for(qemu::Architecture::Aarch64, "6.12") else {
        return;
    };
    let found = read(&kernel);
    assert_eq!(found.architecture, Architecture::Aarch64);
    assert_eq!(found.form, KernelForm::Image);
    assert_eq!((found.version.major, found.version.minor), (6, 12));
    assert_eq!(found.initramfs_options(), Some(true), "{found:?}");
}
