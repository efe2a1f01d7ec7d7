//! The kernel's version.

/// The first two numbers of a release such as `6.12.95+deb12-cloud-amd64`.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(version("6.12.95+deb12-cloud-amd64"), Some((6, 12)));
        assert_eq!(version("6.1.0-56-cloud-amd64"), Some((6, 1)));
        assert_eq!(version("7.2-rc1"), Some((7, 2)));
        assert_eq!(version("6.8"), Some((6, 8)));
        for odd in ["", "6", "x.y", "6.", ".8"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
