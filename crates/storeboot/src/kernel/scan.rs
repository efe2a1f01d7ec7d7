//! One pass over an unpacked kernel, for texts that it holds.

use std::io::{self, Read};

use memchr::memmem::Finder;

use super::KernelVersion;

/// What stands before the version in the kernel's data (`linux_banner`).
const BANNER: &[u8] = b"Linux version ";
/// Bytes behind the banner that may be needed to read the version.
const BEHIND: usize = 128;
/// The name by which `__setup` registers the parameter (`fs/namespace.c`).
const OPTION: &[u8] = b"initramfs_options=";
/// Most bytes that are searched: no kernel is larger than 512 MiB.
const MOST: u64 = 512 << 20;
/// Bytes that are read at once.
const STEP: u64 = 256 << 10;
/// Bytes of a kernel's own header that are of use.
const HEADER: usize = 64;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The first version behind a banner; banners with something else behind (`%s`) are passed over.
    pub(super) version: Option<KernelVersion>,
    /// Whether the kernel has the parameter `initramfs_options=`.
    pub(super) initramfs_options: bool,
    /// The first bytes.
    pub(super) header: Vec<u8>,
}

impl Scan {
    /// Reads the kernel to its end, or as far as it takes to find both.
    pub(super) fn of(kernel: impl Read) -> io::Result<Self> {
        Self::of_at_most(kernel, MOST)
    }

    fn of_at_most(kernel: impl Read, most: u64) -> io::Result<Self> {
        let (banner, option) = (Finder::new(BANNER), Finder::new(OPTION));
        let mut kernel = kernel.take(most);
        let mut window = Vec::new();
        let mut found = Self::default();
        loop {
            let read = (&mut kernel).take(STEP).read_to_end(&mut window)?;
            if found.header.is_empty() {
                found.header = window[..window.len().min(HEADER)].to_vec();
            }
            found.initramfs_options |= option.find(&window).is_some();
            // A banner close to the end is left for the next round, unless there is none.
            let certain = match read {
                0 => window.len(),
                _ => window.len().saturating_sub(BANNER.len() + BEHIND),
            };
            if found.version.is_none() {
                found.version = banner
                    .find_iter(&window)
                    .take_while(|&at| at < certain)
                    .find_map(|at| {
                        let behind = &window[at + BANNER.len()..];
                        KernelVersion::at_start_of(&behind[..behind.len().min(BEHIND)])
                    });
            }
            if read == 0 || (found.initramfs_options && found.version.is_some()) {
                return Ok(found);
            }
            window.drain(..certain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(parts: &[(usize, &str)]) -> Vec<u8> {
        let mut kernel = vec![b'i'; 3 * STEP as usize];
        for (at, text) in parts {
            kernel[*at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        kernel
    }

    fn scan(parts: &[(usize, &str)]) -> Scan {
        Scan::of(&kernel(parts)[..]).expect("a slice can be read")
    }

    #[test]
    fn the_option_is_found_across_the_borders_of_reads() {
        let step = STEP as usize;
        for at in (step - 20..step + 2).chain([step - 142, step - 143]) {
            let found = scan(&[(at, "initramfs_options=\0")]);
            assert!(found.initramfs_options, "{at}");
            assert_eq!(found.version, None);
        }
        assert!(scan(&[(3 * step - 18, "initramfs_options=")]).initramfs_options);
    }

    #[test]
    fn a_name_that_is_only_alike_is_not_taken_for_it() {
        for text in [
            "initramfs_options\0",
            "initramfs_async=",
            "initramfs_option=",
        ] {
            assert!(!scan(&[(1000, text)]).initramfs_options, "{text}");
        }
        // Cut off at the end.
        assert!(!scan(&[(3 * STEP as usize - 17, "initramfs_options")]).initramfs_options);
    }

    #[test]
    fn both_are_found_in_either_order() {
        for (banner, option) in [(100, 700_000), (700_000, 100)] {
            let found = scan(&[
                (banner, "Linux version 6.1.9-x \0"),
                (option, "initramfs_options="),
            ]);
            assert!(found.initramfs_options);
            assert_eq!(found.version.expect("a version").release, "6.1.9-x");
        }
    }

    #[test]
    fn what_does_not_end_is_given_up() {
        let endless = Scan::of_at_most(io::repeat(0), 3 << 20).expect("it is read");
        assert!(!endless.initramfs_options && endless.version.is_none());
        assert_eq!(endless.header, [0; HEADER]);
    }

    #[test]
    fn a_reader_that_fails_is_an_error() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("no"))
            }
        }
        let kernel = io::repeat(0).take(1 << 20).chain(Fails);
        assert!(Scan::of(kernel).is_err());
    }
}
