//! Text that comes from a file, for people.

use std::fmt::{self, Display, Write};

/// Shows a text on one line. Control characters are escaped: they could change the terminal, and a line's end could add a
/// line to a report.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

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
