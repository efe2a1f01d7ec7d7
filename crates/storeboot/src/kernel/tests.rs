//! Images made by hand, with real sizes where size matters.

use std::io::Write;

use super::*;
use crate::compress::{SegmentOptions, SegmentWriter};

fn read(bytes: &[u8]) -> Result<KernelImage, KernelError> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("write");
    let kernel = KernelImage::read(file.path())?;
    // Searched now, since the file goes.
    let _ = kernel.initramfs_options();
    Ok(kernel)
}

fn reason(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(KernelError::Unusable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// A bzImage as Linux 6.12 has it: protocol 2.15, 39 sectors of set-up code, the version near their end.
fn bz_image(release: &str) -> Vec<u8> {
    let mut image = vec![0xcc; 40 * 512 + (11 << 20)];
    image[0x1f1] = 39;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x200..0x202].copy_from_slice(&[0xeb, 0x6a]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x3f00_u16.to_le_bytes());
    image[0x211] = 1;
    image[0x236..0x238].copy_from_slice(&0x007f_u16.to_le_bytes());
    image[0x258..0x260].copy_from_slice(&(16_u64 << 20).to_le_bytes());
    image[0x260..0x264].copy_from_slice(&0x037d_c000_u32.to_le_bytes());
    let text = format!("{release} (maker@host) #1 SMP PREEMPT_DYNAMIC\0");
    image[0x4100..0x4100 + text.len()].copy_from_slice(text.as_bytes());
    image
}

/// An arm64 `Image` of real size: the format strings that look like a banner come before it.
fn arm64_image(banner_at: usize, banner: &str) -> Vec<u8> {
    let mut image = vec![0x1f; 30 << 20];
    image[..2].copy_from_slice(b"MZ");
    image[8..16].fill(0); // where in memory
    image[16..24].copy_from_slice(&0x0223_0000_u64.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    for (at, text) in [(1 << 20, "Linux version %s (%s)\0"), (banner_at, banner)] {
        image[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    image
}

const BANNER: &str = "Linux version 6.12.107-arm64 (maker@host) (gcc) #1 SMP\n\0";

fn zboot(machine: u16, name: &str, payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 0x1000];
    image[..8].copy_from_slice(b"MZ\0\0zimg");
    image[8..12].copy_from_slice(&0x1000_u32.to_le_bytes());
    let size = u32::try_from(payload.len()).expect("small");
    image[12..16].copy_from_slice(&size.to_le_bytes());
    image[24..24 + name.len()].copy_from_slice(name.as_bytes());
    image[60..64].copy_from_slice(&64_u32.to_le_bytes());
    image[64..68].copy_from_slice(b"PE\0\0");
    image[68..70].copy_from_slice(&machine.to_le_bytes());
    image.extend_from_slice(payload);
    image.extend_from_slice(&[0xaa; 512]); // the program itself
    image
}

fn pack(form: &str, bytes: &[u8]) -> Vec<u8> {
    let options = SegmentOptions::new(form.parse().expect(form));
    let mut writer = SegmentWriter::new(Vec::new(), options).expect("set up");
    writer.write_all(bytes).expect("write");
    writer.finish().expect("finish")
}

#[test]
fn a_bz_image_tells_its_release() {
    let kernel = read(&bz_image("6.12.107+deb13-cloud-amd64")).expect("a kernel");
    assert_eq!(kernel.architecture, Architecture::X86_64);
    assert_eq!(kernel.form, KernelForm::BzImage);
    assert_eq!(kernel.version.release, "6.12.107+deb13-cloud-amd64");
    assert!(kernel.version.at_least(6, 8));
    assert_eq!((kernel.size, kernel.address), (0x037d_c000, 16 << 20));
}

#[test]
fn a_header_cannot_ask_for_more_than_a_kernel_takes() {
    let mut image = bz_image("6.12.107");
    image[0x258..0x264].fill(0xff);
    let kernel = read(&image).expect("a kernel");
    assert_eq!((kernel.size, kernel.address), (SIZE_MAX, SIZE_MAX));
}

/// The same with a packed kernel in it, as the build of Linux puts it there (`arch/x86/boot/compressed`).
fn bz_image_of(payload: &[u8]) -> Vec<u8> {
    let mut image = bz_image("6.1.0-50-cloud-amd64");
    let (offset, length) = (0x1234, payload.len());
    image.truncate(40 * 512 + offset);
    image.extend_from_slice(payload);
    image.extend_from_slice(&[0xaa; 512]); // the code that unpacks it
    for (at, number) in [(0x248, offset), (0x24c, length)] {
        let number = u32::try_from(number).expect("small");
        image[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    image
}

/// What stands behind the packed kernel: how long it is unpacked, but for gzip.
fn with_size(form: &str, kernel: &[u8]) -> Vec<u8> {
    let mut payload = pack(form, kernel);
    if !form.starts_with("gzip") {
        let size = u32::try_from(kernel.len()).expect("small");
        payload.extend_from_slice(&size.to_le_bytes());
    }
    payload
}

#[test]
fn a_bz_image_is_searched_for_an_option() {
    let plain = &arm64_image(1 << 20, BANNER)[..2 << 20];
    let mut with_option = plain.to_vec();
    with_option[1_500_000..][..19].copy_from_slice(b"initramfs_options=\0");
    for form in ["gzip:1", "zstd:1", "xz:0", "lz4:1"] {
        let option = |kernel: &[u8]| {
            let image = bz_image_of(&with_size(form, kernel));
            read(&image).expect(form).initramfs_options()
        };
        assert_eq!(option(&with_option), Some(true), "{form}");
        assert_eq!(option(plain), Some(false), "{form}");
    }
}

#[test]
fn a_bz_image_that_does_not_unpack_may_have_the_option_or_not() {
    let option = |image: &[u8]| read(image).expect("a kernel").initramfs_options();
    let kernel: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
        .collect();
    let packed = with_size("zstd:1", &kernel);
    let image = bz_image_of(&packed);
    assert_eq!(option(&image), Some(false));
    // Packed otherwise, cut off, damaged, or not where the header says.
    assert_eq!(option(&bz_image_of(b"BZh91AY&SY of bzip2")), None);
    assert_eq!(option(&image[..image.len() - 520]), None);
    let mut damaged = image.clone();
    let middle = image.len() - packed.len() / 2;
    damaged[middle..middle + 64].fill(0);
    assert_eq!(option(&damaged), None);
    for at in [0x248, 0x24c] {
        for number in [0, 1, u32::MAX] {
            let mut image = image.clone();
            image[at..at + 4].copy_from_slice(&number.to_le_bytes());
            let found = option(&image);
            let harmless = at == 0x24c && number == u32::MAX;
            assert_eq!(found, harmless.then_some(false), "{number} at {at:#x}");
        }
    }
}

#[test]
fn faults_of_a_bz_image_are_named() {
    let with = |at: usize, bytes: &[u8]| {
        let mut image = bz_image("6.1.0");
        image[at..at + bytes.len()].copy_from_slice(bytes);
        reason(&image)
    };
    assert!(with(0x236, &[0, 0]).contains("32-bit"));
    assert!(with(0x206, &[0x0b, 2]).contains("32-bit"));
    assert!(with(0x211, &[0]).contains("zImage"));
    assert!(with(0x20e, &[0, 0]).contains("does not tell its version"));
    assert!(with(0x20e, &[0xff, 0xff]).contains("does not tell its version"));
    assert!(with(0x4100, b"\0").contains("no version is at byte 16640"));
    assert!(reason(&bz_image("6.1.0")[..0x3000]).contains("no version is at byte 16640"));
}

#[test]
fn an_image_is_searched_for_its_banner() {
    // Everywhere around where one read ends and the next one begins.
    for at in [(1 << 20) + 64, (20 << 20) - 200, (20 << 20) - 9, 20 << 20] {
        let kernel = read(&arm64_image(at, BANNER)).expect("a kernel");
        assert_eq!(kernel.architecture, Architecture::Aarch64);
        assert_eq!(kernel.form, KernelForm::Image);
        assert_eq!(kernel.version.release, "6.12.107-arm64");
        assert_eq!((kernel.size, kernel.address), (0x0223_0000, 0));
    }
    let at_the_end = arm64_image((30 << 20) - BANNER.len(), BANNER);
    assert_eq!(read(&at_the_end).expect("a kernel").version.patch, 107);
    let mut with_option = arm64_image(1 << 20, BANNER);
    with_option[20 << 20..][..18].copy_from_slice(b"initramfs_options=");
    let found = read(&with_option).expect("a kernel").initramfs_options();
    assert_eq!(found, Some(true));
    assert!(reason(&arm64_image(2 << 20, "no banner")).contains("no `Linux version …`"));
}

#[test]
fn a_zboot_image_is_looked_into() {
    let image = &arm64_image(2 << 20, BANNER)[..3 << 20];
    for form in ["gzip:1", "zstd:1", "xz:0", "lz4:1"] {
        let kernel = read(&zboot(0xaa64, form, &pack(form, image))).expect(form);
        assert_eq!(kernel.form, KernelForm::Zboot);
        assert_eq!(kernel.architecture, Architecture::Aarch64);
        assert_eq!(kernel.version.release, "6.12.107-arm64");
        assert_eq!(kernel.initramfs_options(), Some(false));
        assert_eq!((kernel.size, kernel.address), (0x0223_0000, 0));
    }
    let packed = pack("gzip:1", image);
    assert!(reason(&zboot(0x5064, "gzip", &packed)).contains("not one for arm64"));
    assert!(reason(&zboot(0xaa64, "lzo", b"\x89LZO\0\r\n")).contains("packed with \"lzo\""));
    assert!(reason(&zboot(0xaa64, "gzip", &packed[..2000])).contains("does not unpack"));
    let other = pack("gzip:1", b"something else");
    assert!(reason(&zboot(0xaa64, "gzip", &other)).contains("no `Linux version …`"));
}

#[test]
fn other_files_are_told_what_they_are() {
    assert!(reason(b"").contains("empty"));
    assert!(reason(b"\x7fELF\x02").contains("vmlinux"));
    assert!(reason(&pack("gzip:1", BANNER.as_bytes())).contains("gzip -d"));
    assert!(reason(&pack("zstd:1", BANNER.as_bytes())).contains("zstd -d"));
    assert!(reason(b"MZ\0\0zimg").contains("without a PE header"));
    assert!(reason(b"MZ\x90\0 a program").contains("EFI program"));
    assert!(reason(b"hsqs").contains("no Linux kernel"));
}

#[test]
fn a_missing_file_is_named() {
    let error = KernelImage::read(Path::new("/no/such/kernel")).expect_err("missing");
    assert!(error.to_string().contains("/no/such/kernel"));
}
