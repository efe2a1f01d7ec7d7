//! A package's name and version in a store path's name.

/// Splits the name of a store path, without its hash, into the package's name and its version, as Nix's
/// `builtins.parseDrvName` does: the version begins behind the first dash that no letter follows. It may be empty.
pub(crate) fn name_and_version(name: &str) -> (&str, &str) {
    let dash = name.match_indices('-').find(|(at, _)| {
        let next = name[at + 1..].chars().next();
        next.is_some_and(|next| !next.is_ascii_alphabetic())
    });
    match dash {
        Some((at, _)) => (&name[..at], &name[at + 1..]),
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
