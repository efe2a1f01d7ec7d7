//! Sizes as messages tell them.

use core::fmt;

/// Shows bytes in MiB, rounded up.
pub(crate) struct MiB(pub u64);

impl fmt::Display for MiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0.div_ceil(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_mib_counts_as_one() {
        for (bytes, text) in [
            (0, "0 MiB"),
            (1, "1 MiB"),
            (327_155_712, "312 MiB"),
            (u64::MAX, "17592186044416 MiB"),
        ] {
            assert_eq!(std::format!("{}", MiB(bytes)), text);
        }
    }
}
