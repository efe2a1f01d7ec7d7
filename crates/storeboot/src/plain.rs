//! Text that comes from a file, for people.

use std::fmt::{self, Display, Write};

/// Shows a text on one line. Control characters are escaped: they could change the terminal, and a line's end could add a
/// line to a report.
///
/// ```
/// let name = storeboot::Plain("a\nb\u{1b}[31m ü");
/// assert_eq!(name.to_string(), r"a\nb\u{1b}[31m ü");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if character.is_control() {
                write!(f, "{}", character.escape_default())
            } else {
                f.write_char(character)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Plain;

    #[test]
    fn control_characters_are_escaped() {
        let plain = |text| Plain(text).to_string();
        assert_eq!(plain("a\nb\u{1b}[31m ü"), "a\\nb\\u{1b}[31m ü");
    }
}
