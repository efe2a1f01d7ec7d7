use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The most bytes of a name as text, without a dot at its end.
const MAX_NAME: usize = 253;
/// The most bytes between two dots.
const MAX_LABEL: usize = 63;

/// The name of a host or of a domain, in lower case, without a dot at its end: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// This is no name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty, or two dots follow each other.
    EmptyLabel,
    /// It has more than 253 bytes.
    TooLong,
    /// More than 63 bytes are between two dots.
    LongLabel,
    /// It has this character. A name in another script is written in ASCII as `xn--…`.
    Character(char),
}

impl Name {
    /// Checks a name. One dot at its end says that it is whole, and is taken away.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        let allowed = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        if let Some(char) = text.chars().find(|char| !allowed(char)) {
            return Err(NameError::Character(char));
        }
        for label in text.split('.') {
            match label.len() {
                0 => return Err(NameError::EmptyLabel),
                1..=MAX_LABEL => {}
                _ => return Err(NameError::LongLabel),
            }
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn has_one_label(&self) -> bool {
        !self.0.contains('.')
    }

    /// The name inside of a domain.
    pub(super) fn in_domain(&self, domain: &Name) -> Result<Self, NameError> {
        Self::parse(&alloc::format!("{self}.{domain}"))
    }

    /// As a message has it: each label after its length, and a zero.
    pub(super) fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.') {
            // At most 63: `parse` saw to it.
            wire.push(label.len().try_into().unwrap_or(0));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }

    /// From the labels of a message. `None`: too long, or not all labels are there.
    pub(super) fn from_labels<'a, E>(
        labels: impl Iterator<Item = Result<&'a [u8], E>>,
    ) -> Option<Self> {
        let mut name = String::new();
        for label in labels {
            let label = core::str::from_utf8(label.ok()?).ok()?;
            if name.len() + label.len() > MAX_NAME {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(label);
        }
        Self::parse(&name).ok()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyLabel => f.write_str("it is empty, or two dots follow each other"),
            Self::TooLong => write!(f, "it has more than {MAX_NAME} bytes"),
            Self::LongLabel => write!(f, "more than {MAX_LABEL} bytes are between two dots"),
            Self::Character(char) => write!(f, "it has the character {char:?}"),
        }
    }
}

impl core::error::Error for NameError {}
