//! How far a download is, on the console.

use core::fmt;

use storeboot_fetch::Progress;

use crate::mib::MiB;

/// Bytes a second, in MiB with one digit behind the point.
pub(super) struct Rate(pub u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (u128::from(self.0) * 10) >> 20;
        write!(f, "{}.{} MiB/s", tenths / 10, tenths % 10)
    }
}

/// `fetched 45 of 244 MiB (18 %), 11.2 MiB/s`
pub(super) struct Done(pub Progress);

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { done, total, rate } = self.0;
        let percent = u128::from(done) * 100 / u128::from(total.max(1));
        let done = done >> 20;
        write!(
            f,
            "{done} of {} are there ({percent} %), {}",
            MiB(total),
            Rate(rate)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_in_numbers() {
        let line = |done, total, rate| std::format!("{}", Done(Progress { done, total, rate }));
        assert_eq!(
            line(45 << 20, 244 << 20, 11_796_480),
            "45 of 244 MiB are there (18 %), 11.2 MiB/s"
        );
        assert_eq!(line(0, 0, 0), "0 of 0 MiB are there (0 %), 0.0 MiB/s");
        assert_eq!(
            line(u64::MAX, u64::MAX, u64::MAX),
            "17592186044415 of 17592186044416 MiB are there (100 %), 17592186044415.9 MiB/s"
        );
    }
}
