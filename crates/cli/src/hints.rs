//! Hints at the command-line options that help against an error.

use storeboot::Error;
use storeboot_cache::{Distrust, Error as CacheError};

/// Returns a hint for an error of the libraries, whose own texts name no command-line options.
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref() {
        return cache_hint(error);
    }
    if let Some(storeboot_closure::Error::NoNix { .. }) = error.downcast_ref() {
        return Some(
            "without Nix, give the closure as a file with --path-info, --closure-info or --graph",
        );
    }
    Some(match error.downcast_ref::<Error>()? {
        Error::FileOverLimit { .. }
        | Error::TooManyImages { .. }
        | Error::TooManyStreamed { .. } => "--image-limit sets the largest size of an image",
        Error::Stream(_) => {
            "--stream needs --profile, and does not go with --initrd, --keep and --verify-at-boot"
        }
        Error::ModulesWithInitrd { .. } => "use --initrd without --modules and --module",
        Error::LayoutNeedsKernel { .. } => "--layout selects another layout",
        Error::LayerWithoutVerity { .. } => "storeboot layer --verity makes layers with hash trees",
        Error::CommandLine(_) => "--cmdline and --init set the command line",
        _ => return None,
    })
}

fn cache_hint(error: &CacheError) -> Option<&'static str> {
    let CacheError::NotTrusted { why, .. } = error else {
        let not_a_cache = matches!(error, CacheError::NotACache { .. });
        return not_a_cache.then_some(
            "give --cache a new or an empty folder, or delete this one if an older storeboot made it as its cache",
        );
    };
    Some(match why {
        Distrust::Owner { .. } | Distrust::NotShared => {
            "give --cache a folder of your own, or a new one with --cache-shared for a group"
        }
        Distrust::Group { .. } => {
            "chmod -R go-w takes that away; a new folder with --cache-shared is for a group"
        }
        Distrust::Shared => "--cache-shared uses it, if you trust every member of its group",
        _ => "chmod -R o-w takes that away, and what was written to it before has to be deleted",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_an_option_helps_with_have_a_hint() {
        let hinted = Error::TooManyImages { limit: 8 };
        assert!(hint(&hinted.into()).is_some_and(|hint| hint.contains("--image-limit")));
        assert_eq!(hint(&Error::Cancelled.into()), None);
        assert_eq!(hint(&anyhow::anyhow!("something else")), None);
    }
}
