//! Cuts files that are larger than a member of an archive may be into parts, which stage 1 puts together.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use storeboot_index::{MAX_PARTS, Part};

/// Bytes of the largest member that newc can hold.
pub(crate) const MEMBER_MAX: u64 = u32::MAX as u64;
/// Files are looked at in chunks of this size, and chunks of zeros are left out. Very large files have larger chunks,
/// so that there are never too many parts.
const CHUNK: u64 = 1 << 20;
/// Bytes of a part at most. Stage 1 copies one part at a time, and needs this much memory besides the file.
const PART: u64 = 64 << 20;
/// Bytes that are read at once to look for zeros.
const LOOK: usize = 64 << 10;

/// What is done with a file that is larger than a member may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LargeFiles {
    /// It is an error: there is no stage 1 that would put it together.
    Refused,
    /// A file over this many bytes is cut into parts, for storeboot's stage 1 or `attach`.
    InParts(u64),
}

impl LargeFiles {
    /// Whether a file of this size is cut.
    pub(crate) fn cuts(self, size: u64) -> bool {
        matches!(self, Self::InParts(over) if size > over)
    }
}

/// How a file is cut. It depends on the file's size alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    chunk: u64,
    part: u64,
}

impl Cut {
    fn of(size: u64) -> Self {
        let least = size.div_ceil(MAX_PARTS as u64);
        let chunk = least.max(1).div_ceil(CHUNK).saturating_mul(CHUNK);
        Self {
            chunk,
            part: PART.max(chunk),
        }
    }
}

/// Finds a large file's data. `None`: it is so large that a part of it would be larger than a member may be.
pub(crate) fn parts(file: &File, size: u64) -> io::Result<Option<Vec<Part>>> {
    let cut = Cut::of(size);
    if cut.part > MEMBER_MAX {
        return Ok(None);
    }
    find(file, size, cut).map(Some)
}

/// The parts do not depend on the file system's holes: a chunk of stored zeros is left out as well.
fn find(file: &File, size: u64, cut: Cut) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut buffer = vec![0; LOOK];
    let mut holes = Holes { data: 0 };
    let mut offset = 0;
    while offset < size {
        let length = cut.chunk.min(size - offset);
        if !holes.cover(file, offset, length) && !is_zero(file, offset, length, &mut buffer)? {
            match parts.last_mut() {
                Some(last)
                    if last.offset + last.size == offset && last.size + length <= cut.part =>
                {
                    last.size += length;
                }
                _ => parts.push(Part {
                    offset,
                    size: length,
                }),
            }
        }
        offset += length;
    }
    // Past the end of a file that has become shorter, a seek for data finds none, as in a hole.
    if file.metadata()?.len() != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(parts)
}

fn is_zero(file: &File, offset: u64, length: u64, buffer: &mut [u8]) -> io::Result<bool> {
    let mut done = 0;
    while done < length {
        let want =
            usize::try_from(length - done).map_or(buffer.len(), |left| left.min(buffer.len()));
        let bytes = &mut buffer[..want];
        file.read_exact_at(bytes, offset + done)?;
        if bytes
            .chunks(4096)
            .any(|page| page.iter().fold(0, |all, byte| all | byte) != 0)
        {
            return Ok(false);
        }
        done += want as u64;
    }
    Ok(true)
}

/// Finds holes, whose zeros need not be read.
struct Holes {
    /// Where the next data begins, as asked last.
    data: u64,
}

impl Holes {
    fn cover(&mut self, file: &File, offset: u64, length: u64) -> bool {
        let end = offset + length;
        if self.data < end {
            // A file system that cannot tell is taken to have no holes.
            self.data = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
                Ok(data) => data,
                Err(rustix::io::Errno::NXIO) => u64::MAX,
                Err(_) => offset,
            };
        }
        self.data >= end
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file
    }

    fn found(content: &[u8], chunk: u64, part: u64) -> Vec<(u64, u64)> {
        let parts = find(&file(content), content.len() as u64, Cut { chunk, part });
        let parts = parts.expect("it can be read");
        parts.iter().map(|part| (part.offset, part.size)).collect()
    }

    #[test]
    fn zeros_are_left_out_and_data_is_cut() {
        let mut content = vec![0; 10_500];
        assert_eq!(found(&content, 1000, 3000), []);
        content[0] = 1;
        content[2999] = 1;
        content[3000] = 1;
        content[10_499] = 1;
        let expected = [(0, 1000), (2000, 2000), (10_000, 500)];
        assert_eq!(found(&content, 1000, 3000), expected);
        content.fill(7);
        let all = [(0, 3000), (3000, 3000), (6000, 3000), (9000, 1500)];
        assert_eq!(found(&content, 1000, 3000), all);
    }

    #[test]
    fn holes_do_not_show() {
        const MIB: u64 = 1 << 20;
        let with_holes = tempfile::tempfile().expect("a file");
        with_holes.set_len(5 * MIB).expect("a sparse file");
        with_holes
            .write_all_at(b"data", 2 * MIB + 5)
            .expect("written");
        let mut content = vec![0; 5 << 20];
        content[(2 << 20) + 5] = b'd';
        let cut = Cut {
            chunk: MIB,
            part: 2 * MIB,
        };
        let expected = [Part {
            offset: 2 * MIB,
            size: MIB,
        }];
        for file in [with_holes, file(&content)] {
            assert_eq!(find(&file, 5 * MIB, cut).expect("readable"), expected);
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_is_an_error() {
        let cut = Cut { chunk: 4, part: 8 };
        assert!(find(&file(b"12345678"), 9, cut).is_err());
    }

    #[test]
    fn no_size_makes_too_many_parts() {
        const TIB: u64 = 1 << 40;
        for size in [
            1,
            4 << 30,
            32 << 30,
            (32 << 30) + 1,
            TIB,
            100 * TIB,
            u64::MAX,
        ] {
            let cut = Cut::of(size);
            assert!(size.div_ceil(cut.chunk) <= MAX_PARTS as u64, "{size}");
            assert!(
                cut.part >= cut.chunk && cut.chunk.is_multiple_of(CHUNK),
                "{size}"
            );
        }
        assert_eq!(Cut::of(6 << 30).chunk, CHUNK);
        assert!(Cut::of(100 * TIB).part <= MEMBER_MAX);
        let file = file(b"");
        assert_eq!(parts(&file, u64::MAX).expect("not looked at"), None);
    }
}
