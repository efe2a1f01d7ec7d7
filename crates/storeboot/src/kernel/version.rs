//! Kernel versions and their order.

use std::fmt;
use std::str::FromStr;

/// Longest release that a kernel has (`__NEW_UTS_LEN`).
const RELEASE_MAX: usize = 64;

/// A kernel's version, with the whole release as `uname -r` prints it.
///
/// Versions are ordered by their numbers first; the release only tells builds of one version apart.
///
/// ```
/// use storeboot::kernel::KernelVersion;
///
/// let version: KernelVersion = "6.12.107+deb13-cloud-amd64".parse()?;
/// assert!(version.at_least(6, 8));
/// assert_eq!((version.major, version.minor, version.patch), (6, 12, 107));
/// assert_eq!(version.release, "6.12.107+deb13-cloud-amd64");
/// # Ok::<(), storeboot::kernel::ParseVersionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct KernelVersion {
    /// The 6 of 6.12.107.
    pub major: u16,
    /// The 12 of 6.12.107.
    pub minor: u16,
    /// The 107 of 6.12.107; 0 where there is none.
    pub patch: u16,
    /// The version with all that the builder of the kernel added to it: the name of its folder under `lib/modules`.
    pub release: String,
}

/// The text does not begin with a kernel's version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no kernel release: it should begin with numbers as in 6.12.3")]
#[non_exhaustive]
pub struct ParseVersionError {
    /// The text.
    pub text: String,
}

impl KernelVersion {
    /// Whether the version is this one or a later one. Release candidates count as what they lead to.
    ///
    /// ```
    /// # use storeboot::kernel::KernelVersion;
    /// let version: KernelVersion = "6.8.0-rc1".parse()?;
    /// assert!(version.at_least(6, 8) && !version.at_least(6, 9));
    /// # Ok::<(), storeboot::kernel::ParseVersionError>(())
    /// ```
    #[must_use]
    pub fn at_least(&self, major: u16, minor: u16) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Reads the release that text such as `6.1.0-50-cloud-amd64 (builder@host) #1 SMP` begins with.
    pub(super) fn at_start_of(text: &[u8]) -> Option<Self> {
        let length = text
            .iter()
            .position(|byte| !byte.is_ascii_graphic())
            .unwrap_or(text.len());
        std::str::from_utf8(&text[..length]).ok()?.parse().ok()
    }
}

impl FromStr for KernelVersion {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseVersionError {
            text: text.chars().take(RELEASE_MAX).collect(),
        };
        // A release is a folder's name, too: `/` and white space have no place in it.
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if text.len() > RELEASE_MAX || !text.bytes().all(plain) {
            return Err(error());
        }
        let (major, rest) = number(text).ok_or_else(error)?;
        let (minor, rest) = rest.strip_prefix('.').and_then(number).ok_or_else(error)?;
        let patch = match rest.strip_prefix('.') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                number(rest).ok_or_else(error)?.0
            }
            _ => 0,
        };
        Ok(Self {
            major,
            minor,
            patch,
            release: text.into(),
        })
    }
}

fn number(text: &str) -> Option<(u16, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_many_makers_are_read() {
        for (text, numbers) in [
            ("6.8.0", (6, 8, 0)),
            ("6.8", (6, 8, 0)),
            ("6.8-rc3", (6, 8, 0)),
            ("5.15.0-1025-azure", (5, 15, 0)),
            ("7.2.13+deb14-cloud-arm64", (7, 2, 13)),
            ("6.1.0.x", (6, 1, 0)),
        ] {
            let version: KernelVersion = text.parse().expect(text);
            assert_eq!((version.major, version.minor, version.patch), numbers);
            assert_eq!(version.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_release_is_refused() {
        let long = format!("6.8.0-{}", "x".repeat(64));
        for text in [
            "",
            "6",
            "6.",
            "x.8",
            "%s.8",
            "99999.1",
            "6.1.99999",
            "6.8 x",
            "6.8/..",
            &long,
        ] {
            assert!(text.parse::<KernelVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn order_follows_the_numbers() {
        let ordered = [
            "5.19.17", "6.1.0-9", "6.1.176", "6.8.0-a", "6.8.0-b", "6.12.1", "7.0",
        ];
        let parsed: Vec<KernelVersion> = ordered.iter().map(|t| t.parse().expect(t)).collect();
        assert!(parsed.is_sorted());
    }
}
