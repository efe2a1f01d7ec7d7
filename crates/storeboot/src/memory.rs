//! How much memory a boot needs, by a formula that fits what bisection found (`benches/boot-memory`).

use crate::kernel::KernelImage;
use crate::layout;

/// What firmware and loader keep for themselves.
const LOADER: u64 = 4 << 20;
/// Added to a number that fits exactly.
const MARGIN: u64 = 8 << 20;
/// What the first programs of stage 2 take at most, the kernel's reserves included.
const STAGE2: u64 = 44 << 20;

/// What is loaded, and what the kernel makes of it before stage 2 runs. All of it in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// The initrd as it is loaded.
    pub(crate) initrd: u64,
    /// What lies in rootfs when the initrd is unpacked.
    pub(crate) unpacked: u64,
    /// What a decompressor takes beside that.
    pub(crate) window: u64,
}

impl Demand {
    /// The memory of a machine that boots it.
    pub(crate) fn memory(self, kernel: &KernelImage) -> u64 {
        let Self {
            initrd,
            unpacked,
            window,
        } = self;
        let size = kernel.size;
        // The loader puts the initrd behind the kernel, and the kernel where it wants to be.
        let load = kernel.address + size + initrd + LOADER + MARGIN;
        // The initrd is there until all of it is unpacked. The kernel's account of its pages takes a 64th, and it keeps
        // about as much in reserve; what else is taken grows with the rest, to a limit.
        let all = size + initrd + unpacked + window;
        let rest = (size + unpacked + window) / 20;
        let run = all + all / 32 + rest.min(STAGE2) + MARGIN;
        // Half of the memory that is left beside kernel and initrd has to hold what is unpacked.
        let half = initrd + 2 * unpacked + size;
        let half = match layout::lifts_rootfs_limit(kernel) {
            true => 0,
            false => half + half / 63 + MARGIN,
        };
        load.max(run).max(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Architecture, KernelForm};

    const MIB: u64 = 1 << 20;

    /// Debian's 6.12.
    fn kernel(initramfs_options: bool) -> KernelImage {
        KernelImage {
            path: "bzImage".into(),
            architecture: Architecture::X86_64,
            form: KernelForm::BzImage,
            version: "6.12.95+deb12-cloud-amd64".parse().expect("a version"),
            initramfs_options: Some(initramfs_options),
            size: 0x037d_c000,
            address: 16 * MIB,
        }
    }

    /// MiB for so many bytes of initrd and so many MiB of the rest.
    fn needed(initramfs_options: bool, initrd: u64, unpacked: u64, window: u64) -> u64 {
        let demand = Demand {
            initrd,
            unpacked: unpacked * MIB,
            window: window * MIB,
        };
        demand.memory(&kernel(initramfs_options)).div_ceil(MIB)
    }

    /// What `make bench-boot` found for a closure of 957 MB, in docs/benchmarks.md.
    #[test]
    fn it_is_a_little_over_what_was_found() {
        for (estimate, found) in [
            (needed(true, 287_600_000, 1, 0), 348),
            (needed(true, 287_500_000, 275, 0), 624),
            (needed(false, 287_500_000, 275, 0), 884),
            (needed(true, 268_600_000, 1009, 128), 1520),
        ] {
            assert!(
                (found..=found + found / 20).contains(&estimate),
                "{estimate} for {found}"
            );
        }
    }

    #[test]
    fn no_header_makes_it_overflow() {
        let demand = Demand {
            initrd: 1 << 50,
            unpacked: 1 << 50,
            window: 128 * MIB,
        };
        let kernel = KernelImage {
            size: crate::kernel::SIZE_MAX,
            address: crate::kernel::SIZE_MAX,
            ..kernel(false)
        };
        assert!(demand.memory(&kernel) > 3 << 50);
    }
}
