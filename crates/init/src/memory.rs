//! Whether the machine has the memory that this boot needs.

use alloc::string::String;

use crate::console::Console;
use crate::mib::MiB;
use crate::paths::read_file;

/// Firmware keeps some memory, so a machine of 512 MiB reports a little less: one part in this many may be missing.
const TOLERANCE: u64 = 50;

/// Warns if it has less. The need is an estimate, so the boot goes on.
pub(crate) fn check(need: u64, console: &Console) {
    let Some(have) = installed() else {
        console.step(format_args!("the size of the memory is not known"));
        return;
    };
    console.step(format_args!(
        "memory: {} needed, {} there",
        MiB(need),
        MiB(have)
    ));
    if is_too_little(need, have) {
        console.warning(&format_args!(
            "this system needs about {} of memory to boot and the machine has {}: if it fails, that is why",
            MiB(need),
            MiB(have)
        ));
    }
}

fn is_too_little(need: u64, have: u64) -> bool {
    have.saturating_add(have / TOLERANCE) < need
}

/// All memory. The need includes the kernel and a retained initrd. `MemTotal` leaves both out, so it is used only where
/// the kernel has no `/proc/iomem`.
fn installed() -> Option<u64> {
    let text = |path| {
        read_file(path, 1 << 20)
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    text("/proc/iomem")
        .and_then(|t| system_ram(&t))
        .or_else(|| text("/proc/meminfo").and_then(|t| meminfo(&t, "MemTotal")))
}

/// The sum of the ranges `START-END : System RAM`.
fn system_ram(iomem: &str) -> Option<u64> {
    let mut sum = 0_u64;
    for line in iomem.lines() {
        if let Some(range) = line
            .strip_suffix(" : System RAM")
            .filter(|range| !range.starts_with(' '))
        {
            let (start, end) = range.split_once('-')?;
            let [start, end] = [start, end].map(|n| u64::from_str_radix(n, 16).ok());
            sum = sum.checked_add(end?.checked_sub(start?)?.checked_add(1)?)?;
        }
    }
    // For a reader without privileges all addresses are zero, and each range has one byte.
    Some(sum).filter(|&sum| sum >= 1 << 20)
}

/// A value of `/proc/meminfo`, in bytes.
pub(crate) fn meminfo(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::trim)?
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()?
            .checked_mul(1024)
    };
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IOMEM: &str = "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n00100000-137fffff : System RAM\n  01000000-01ffffff : Kernel code\n  02000000-020fffff : System RAM\nfec00000-fec003ff : IOAPIC 0\n";

    #[test]
    fn what_the_kernel_tells() {
        assert_eq!(system_ram(IOMEM), Some(0x9ec00 + 0x1370_0000));
        assert_eq!(system_ram("00000000-00000000 : System RAM\n"), None);
        assert_eq!(system_ram(""), None);
        assert_eq!(system_ram("zz-10 : System RAM\n"), None);
        assert_eq!(
            meminfo("MemFree: 1 kB\nMemTotal:         312312 kB\n", "MemTotal"),
            Some(312_312 * 1024)
        );
        assert_eq!(meminfo("MemFree: 1 kB\n", "MemTotal"), None);
    }

    #[test]
    fn a_machine_of_the_right_size_passes() {
        let need = 312 << 20;
        assert!(!is_too_little(need, system_ram(IOMEM).unwrap()));
        assert!(is_too_little(need, 300 << 20));
        assert!(!is_too_little(0, 0));
    }
}
