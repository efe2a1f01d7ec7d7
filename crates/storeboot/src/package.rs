//! A package's name and version in a store path's name.

/// Where the dash before the version is in the name of a store path, without its hash. As for Nix's
/// `builtins.parseDrvName`, the version begins behind the first dash that no letter follows.
pub(crate) fn version_dash(name: &[u8]) -> Option<usize> {
    let is_dash = |pair: &[u8]| pair[0] == b'-' && !pair[1].is_ascii_alphabetic();
    name.windows(2).position(is_dash)
}

/// Splits the name of a store path, without its hash, into the package's name and its version, which may be empty.
pub(crate) fn name_and_version(name: &str) -> (&str, &str) {
    match version_dash(name.as_bytes()) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_begins_behind_a_dash_without_a_letter() {
        for (name, expected) in [
            ("hello-2.12.1", ("hello", "2.12.1")),
            ("linux-6.12.1-modules", ("linux", "6.12.1-modules")),
            (
                "nix-wrapper-unstable-2024-01-02",
                ("nix-wrapper-unstable", "2024-01-02"),
            ),
            ("nixos-system", ("nixos-system", "")),
            ("hello-", ("hello-", "")),
            ("-1", ("", "1")),
            ("", ("", "")),
        ] {
            assert_eq!(name_and_version(name), expected, "{name}");
        }
    }
}
