//! Writes the list of a [`PartedFile`].

use core::fmt;

use super::{MAX_FILE_PATH, MAX_PARTS, PARTS_HEADER, Part, PartedFile};
use crate::Reason;

impl PartedFile {
    /// Checks that this file's list can be parsed again. Call it before you write the list.
    ///
    /// ```
    /// use storeboot_index::{Part, PartedFile, Reason};
    ///
    /// let parts = vec![Part { offset: 0, size: 2 }, Part { offset: 1, size: 2 }];
    /// let file = PartedFile { path: b"a".to_vec(), executable: true, size: 3, parts };
    /// assert_eq!(file.check(), Err(Reason::PartOrder));
    /// ```
    pub fn check(&self) -> Result<(), Reason> {
        if self.parts.len() > MAX_PARTS {
            return Err(Reason::TooManyParts);
        }
        if !is_inside(&self.path) {
            return Err(Reason::FilePath);
        }
        let mut end = 0;
        for part in &self.parts {
            // The first part may begin at 0, and every other one at the end of the part before it.
            let next = part.offset.checked_add(part.size);
            match next {
                Some(next) if part.size > 0 && part.offset >= end && next <= self.size => {
                    end = next;
                }
                _ => return Err(Reason::PartOrder),
            }
        }
        Ok(())
    }
}

/// Whether it is relative and has no empty part, `.` and `..`: such a path stays inside the store.
fn is_inside(path: &[u8]) -> bool {
    path.len() < MAX_FILE_PATH
        && !path.contains(&0)
        && path
            .split(|&byte| byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Whether a byte of a path stands for itself in a list.
pub(super) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%'
}

impl fmt::Display for PartedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, mode, count) = (self.size, self.mode(), self.parts.len());
        write!(f, "{PARTS_HEADER}\nfile {size} {mode:o} {count} ")?;
        for &byte in &self.path {
            if is_plain(byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02x}")?;
            }
        }
        f.write_str("\n")?;
        for Part { offset, size } in &self.parts {
            writeln!(f, "part {offset} {size}")?;
        }
        Ok(())
    }
}
