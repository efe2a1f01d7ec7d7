//! What a person may do about an error, by the names that the command line has for it.

use storeboot::Error;

/// An option that helps, for errors whose own sentence cannot name one.
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(storeboot_cache::Error::NotACache { .. }) = error.downcast_ref() {
        return Some(
            "name an empty or a new folder by --cache, or delete this one if an older storeboot made it as its cache",
        );
    }
    if let Some(storeboot_closure::Error::NoNix { .. }) = error.downcast_ref() {
        return Some(
            "without Nix, give the closure as a file by --path-info, --closure-info or --graph",
        );
    }
    Some(match error.downcast_ref::<Error>()? {
        Error::FileOverLimit { .. } | Error::TooManyImages { .. } => {
            "--image-limit says how large an image may be"
        }
        Error::ModulesWithInitrd { .. } => "--initrd goes without --modules and --module",
        Error::LayoutNeedsKernel { .. } => "--layout chooses another",
        Error::CommandLine(_) => "--cmdline and --init say what is on it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_an_option_helps_with_have_a_hint() {
        let hinted = Error::TooManyImages { count: 9, limit: 8 };
        assert!(hint(&hinted.into()).is_some_and(|hint| hint.contains("--image-limit")));
        assert_eq!(hint(&Error::Cancelled.into()), None);
        assert_eq!(hint(&anyhow::anyhow!("something else")), None);
    }
}
