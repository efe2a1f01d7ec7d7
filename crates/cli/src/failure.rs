//! Turns an error into one sentence: the error, its causes, and a hint at an option that helps.

use std::error::Error;

use crate::hints::hint;

/// Returns the sentence for an error.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = chain(error.chain());
    if let Some(hint) = hint(error) {
        sentence.push_str(&format!(" ({hint})"));
    }
    sentence
}

/// Joins the error and its causes with colons.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    chain(anyhow::Chain::new(error))
}

/// Joins errors with colons. Leaves out a cause that the text before it ends with already.
fn chain<'a>(errors: impl Iterator<Item = &'a (dyn Error + 'static)>) -> String {
    let mut sentence = String::new();
    for error in errors {
        let text = error.to_string();
        if sentence.is_empty() {
            sentence = text;
        } else if !sentence.ends_with(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;

    use super::*;

    fn not_found() -> io::Error {
        io::Error::from_raw_os_error(2)
    }

    const NOT_FOUND: &str = "No such file or directory (os error 2)";

    #[test]
    fn each_cause_is_printed_once() {
        let bare = anyhow::Error::new(not_found());
        assert_eq!(sentence(&bare), NOT_FOUND);
        let outer = bare.context("cannot read graph").context("no closure");
        let expected = format!("no closure: cannot read graph: {NOT_FOUND}");
        assert_eq!(sentence(&outer), expected);
        // This text contains its cause already.
        let text = format!("cannot read graph: {NOT_FOUND}");
        let outer = anyhow!(not_found()).context(text.clone());
        assert_eq!(sentence(&outer), text);
    }

    #[test]
    fn hints_follow_the_causes() {
        let source = not_found();
        let error = storeboot_closure::Error::NoNix { source };
        let sentence = sentence(&error.into());
        let causes = format!("cannot run nix-store to ask for the closure: {NOT_FOUND} (");
        assert!(sentence.starts_with(&causes), "{sentence}");
        assert!(
            sentence.ends_with("--closure-info or --graph)"),
            "{sentence}"
        );
    }
}
