//! How much memory a boot needs, by formulas that fit what bisection found (`benches/boot-memory`).

use crate::kernel::{Architecture, KernelImage};
use crate::layout;

/// What firmware and loader keep for themselves.
const LOADER: u64 = 4 << 20;
/// Behind this, QEMU puts an initrd of aarch64 anywhere.
const HALF_MAX: u64 = 128 << 20;
/// What else a kernel of aarch64 takes.
const AARCH64: u64 = 16 << 20;
/// Memory that it keeps for devices (`CONFIG_CMA_SIZE_MBYTES`), where no window of a decompressor may be.
const AARCH64_CMA: u64 = 64 << 20;
const PAGE: u64 = 4096;
/// Added to a number that fits exactly.
const MARGIN: u64 = 8 << 20;
/// What UEFI firmware, iPXE and a file of 12 MB of the kernel take where a kernel is started.
const UEFI: u64 = 96 << 20;
/// What UEFI firmware keeps when the kernel runs.
const UEFI_RUNTIME: u64 = 24 << 20;
/// What the first programs of stage 2 take at most, the kernel's reserves included.
const STAGE2: u64 = 44 << 20;

/// What the drivers, the buffers of the network and the chunks on their way take while stage 1 fetches.
const DOWNLOAD: u64 = 32 << 20;

/// What is loaded, and what the kernel makes of it before stage 2 runs. All of it in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// The initrd as it is loaded.
    pub(crate) initrd: u64,
    /// What lies in rootfs when the initrd is unpacked.
    pub(crate) unpacked: u64,
    /// The number of files, links and directories that make it, where there are many.
    pub(crate) entries: u64,
    /// What a decompressor takes beside that.
    pub(crate) window: u64,
    /// What stage 1 fetches into memory once the initrd is gone.
    pub(crate) fetched: u64,
    /// What of the unpacked initrd is there until then.
    pub(crate) kept: u64,
}

impl Demand {
    /// The memory of a machine that boots it by BIOS, or whose loader is QEMU's own or kexec.
    pub(crate) fn memory(self, kernel: &KernelImage) -> u64 {
        self.load(kernel)
            .max(self.run(kernel))
            .max(self.fetch(kernel))
            + self.own(kernel)
    }

    /// The memory of a machine that boots it by UEFI.
    pub(crate) fn memory_uefi(self, kernel: &KernelImage) -> u64 {
        // The loader holds one copy, and the kernel's EFI stub makes its own, which has to be in one
        // piece. The stub puts the kernel anywhere before that (KASLR): where it is in the middle of what is free, each
        // half has to hold the copy. With `nokaslr` two copies are enough.
        let load = UEFI + kernel.size + 3 * self.initrd + MARGIN;
        let run = self.run(kernel).max(self.fetch(kernel));
        load.max(run + UEFI_RUNTIME) + self.own(kernel)
    }

    /// To load it where there is no UEFI.
    fn load(self, kernel: &KernelImage) -> u64 {
        // The loader puts the initrd behind the kernel, and the kernel where it wants to be.
        let behind_kernel = kernel.address + kernel.size;
        let start = match kernel.architecture {
            Architecture::X86_64 => behind_kernel,
            // QEMU's does not put it into the lower half of the memory, or else at 128 MiB.
            Architecture::Aarch64 => behind_kernel.max(self.initrd.min(HALF_MAX)),
        };
        start + self.initrd + LOADER + MARGIN
    }

    /// From the kernel's start to stage 2.
    fn run(self, kernel: &KernelImage) -> u64 {
        let Self {
            initrd,
            unpacked,
            entries,
            window,
            ..
        } = self;
        let size = kernel.size;
        // A tmpfs has room for half as many inodes as there are pages of memory beside kernel and initrd, whatever the
        // option says (`shmem_default_max_inodes` in mm/shmem.c).
        let inodes = initrd + size + entries * 2 * PAGE;
        let inodes = inodes + inodes / 63 + MARGIN;
        // The initrd is there until all of it is unpacked. The kernel's account of its pages takes a 64th, and it keeps
        // about as much in reserve; what else is taken grows with the rest, to a limit.
        let all = size + initrd + unpacked + window;
        let rest = (size + unpacked + window) / 20;
        let run = (all + all / 32 + rest.min(STAGE2) + MARGIN).max(inodes);
        // Half of the memory that is left beside kernel and initrd has to hold what is unpacked.
        let half = initrd + 2 * unpacked + size;
        let half = half + half / 63 + MARGIN;
        // The kernel is searched for the option last: that takes time.
        if half <= run || (self.fetched == 0 && layout::lifts_rootfs_limit(kernel)) {
            return run;
        }
        half
    }

    /// While stage 1 fetches. The initrd is gone by then, and so are the drivers' files. Stage 2 begins with what the
    /// download has let go.
    fn fetch(self, kernel: &KernelImage) -> u64 {
        if self.fetched == 0 {
            return 0;
        }
        let all = kernel.size + self.kept + self.fetched;
        all + all / 32 + DOWNLOAD + MARGIN
    }

    /// What an architecture takes besides.
    fn own(self, kernel: &KernelImage) -> u64 {
        match kernel.architecture {
            Architecture::X86_64 => 0,
            Architecture::Aarch64 => AARCH64 + self.window.min(AARCH64_CMA),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelForm;

    const MIB: u64 = 1 << 20;
    const NOTHING: Demand = Demand {
        initrd: 0,
        unpacked: 0,
        entries: 0,
        window: 0,
        fetched: 0,
        kept: 0,
    };

    /// Debian's 6.12.
    fn kernel(initramfs_options: bool) -> KernelImage {
        KernelImage {
            path: "bzImage".into(),
            architecture: Architecture::X86_64,
            form: KernelForm::BzImage,
            version: "6.12.95+deb12-cloud-amd64".parse().expect("a version"),
            options: Some(initramfs_options).into(),
            size: 0x037d_c000,
            address: 16 * MIB,
        }
    }

    /// MiB needed for an initrd of this many bytes and this many MiB of the rest.
    fn needed(initramfs_options: bool, initrd: u64, unpacked: u64, window: u64) -> u64 {
        let demand = Demand {
            initrd,
            unpacked: unpacked * MIB,
            window: window * MIB,
            ..NOTHING
        };
        demand.memory(&kernel(initramfs_options)).div_ceil(MIB)
    }

    /// What `make bench-boot` once found for a closure of 957 MB, whose image had 287 MB.
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

    /// An image of 243.7 MB that is fetched, with a kernel of Debian's 6.12.
    #[test]
    fn with_layout_fetch_it_is_a_little_over_what_was_found() {
        let demand = Demand {
            initrd: 2_842_624,
            unpacked: 3 * MIB,
            fetched: 243_712_000,
            kept: MIB,
            ..NOTHING
        };
        for (estimate, found) in [
            (demand.memory(&kernel(true)), 328),
            (demand.memory_uefi(&kernel(true)), 332),
        ] {
            let estimate = estimate.div_ceil(MIB);
            assert!(
                (found..=found + found / 10).contains(&estimate),
                "{estimate} for {found}"
            );
        }
    }

    /// Debian's OVMF with iPXE over HTTP, and with QEMU's `-kernel`: layout in-place with `nokaslr`, which makes it the
    /// same at each boot.
    #[test]
    fn by_uefi_it_is_what_was_found_and_one_more_copy_for_kaslr() {
        for (initrd, found) in [(20, 184), (100, 352), (263, 680)] {
            let demand = Demand {
                initrd: initrd * MIB,
                unpacked: MIB,
                window: 0,
                ..NOTHING
            };
            let estimate = demand.memory_uefi(&kernel(true)).div_ceil(MIB) - initrd;
            assert!(
                (found..=found + found / 10).contains(&estimate),
                "{estimate} for {found}"
            );
        }
    }

    /// Rootfs takes a file for each two pages that are free when the kernel begins, which is before it unpacks.
    #[test]
    fn many_small_files_need_memory_for_their_number() {
        let demand = Demand {
            initrd: 20 * MIB,
            unpacked: 700 * MIB,
            entries: 110_000,
            window: 128 * MIB,
            ..NOTHING
        };
        let free = demand.memory(&kernel(true)) - 20 * MIB - kernel(true).size;
        assert!(free - free / 64 > 110_000 * 8192, "{free}");
    }

    #[test]
    fn by_uefi_a_system_that_is_unpacked_needs_more_than_by_bios() {
        let demand = Demand {
            initrd: 20 * MIB,
            unpacked: 1000 * MIB,
            window: 128 * MIB,
            ..NOTHING
        };
        let [bios, uefi] = [
            demand.memory(&kernel(true)),
            demand.memory_uefi(&kernel(true)),
        ];
        assert_eq!(uefi - bios, UEFI_RUNTIME);
    }

    /// Debian's 6.12 on QEMU's `virt`, with the small system of the tests in layouts in-place and direct.
    #[test]
    fn on_aarch64_it_is_a_little_over_what_was_found() {
        let image = KernelImage {
            architecture: Architecture::Aarch64,
            size: 35_848_192,
            address: 0,
            ..kernel(true)
        };
        for (initrd, unpacked, window, found) in [(3_899_392, 1, 0, 58), (3_399_584, 8, 128, 251)] {
            let demand = Demand {
                initrd,
                unpacked: unpacked * MIB,
                window: window * MIB,
                ..NOTHING
            };
            let estimate = demand.memory(&image).div_ceil(MIB);
            assert!(
                (found..=found + found / 5).contains(&estimate),
                "{estimate} for {found}"
            );
        }
    }

    #[test]
    fn an_initrd_of_aarch64_is_in_the_upper_half_or_behind_128_mib() {
        let image = KernelImage {
            architecture: Architecture::Aarch64,
            size: 34 * MIB,
            address: 0,
            ..kernel(true)
        };
        for (initrd, expected) in [(10, 34 + 10), (100, 100 + 100), (1000, 128 + 1000)] {
            let demand = Demand {
                initrd: initrd * MIB,
                ..NOTHING
            };
            let needed = demand.memory(&image);
            assert!(needed >= (expected + 12) * MIB, "{needed} for {initrd}");
        }
    }

    #[test]
    fn no_header_makes_it_overflow() {
        let demand = Demand {
            initrd: 1 << 50,
            unpacked: 1 << 50,
            window: 128 * MIB,
            ..NOTHING
        };
        let kernel = KernelImage {
            size: crate::kernel::SIZE_MAX,
            address: crate::kernel::SIZE_MAX,
            ..kernel(false)
        };
        assert!(demand.memory(&kernel) > 3 << 50);
        assert!(demand.memory_uefi(&kernel) > 3 << 50);
    }
}
