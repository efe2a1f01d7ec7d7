//! The format of an entry, and reading one. All of it is checked before any of it is used.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::Key;

const MAGIC: [u8; 8] = *b"sbcache1";
/// Magic number, length, hash.
pub(crate) const HEADER_LEN: usize = 8 + 8 + 32;
/// Bytes of a stream that are in memory at once.
const BUFFER: usize = 256 << 10;

pub(crate) fn hasher(key: &Key) -> blake3::Hasher {
    blake3::Hasher::new_keyed(key.as_bytes())
}

pub(crate) fn header(length: u64, hash: &blake3::Hash) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&length.to_le_bytes());
    header[16..].copy_from_slice(hash.as_bytes());
    header
}

/// Why an entry cannot be used.
pub(crate) enum Flaw {
    /// Its content is not what was written.
    Damaged,
    /// It cannot be read.
    Failed(io::Error),
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads the header: the content's length and hash.
fn open(file: &mut File) -> Result<(u64, [u8; 32]), Flaw> {
    let size = file.metadata()?.len();
    let mut header = [0; HEADER_LEN];
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Flaw::Damaged),
        other => other?,
    }
    let [magic, length] = [&header[..8], &header[8..16]];
    let length = u64::from_le_bytes(length.try_into().map_err(|_| Flaw::Damaged)?);
    if magic != MAGIC || Some(size) != length.checked_add(HEADER_LEN as u64) {
        return Err(Flaw::Damaged);
    }
    let hash = header[16..].try_into().map_err(|_| Flaw::Damaged)?;
    Ok((length, hash))
}

fn check(hasher: &blake3::Hasher, hash: [u8; 32]) -> Result<(), Flaw> {
    if hasher.finalize() == blake3::Hash::from(hash) {
        Ok(())
    } else {
        Err(Flaw::Damaged)
    }
}

/// Reads an entry of at most `max` bytes into `content`. Returns `false` where it is longer.
pub(crate) fn read_into(
    file: &mut File,
    key: &Key,
    content: &mut Vec<u8>,
    max: usize,
) -> Result<bool, Flaw> {
    let (length, hash) = open(file)?;
    let Some(length) = usize::try_from(length).ok().filter(|&length| length <= max) else {
        return Ok(false);
    };
    content.reserve_exact(length);
    file.take(length as u64).read_to_end(content)?;
    let mut hasher = hasher(key);
    hasher.update(content);
    check(&hasher, hash)?;
    Ok(true)
}

/// An entry that was found. Its content can be read once.
///
/// It stays readable while another process evicts it.
#[derive(Debug)]
pub struct Entry {
    file: io::Take<File>,
    length: u64,
}

impl Entry {
    /// Reads the whole entry once to check it.
    pub(crate) fn new(mut file: File, key: &Key) -> Result<Self, Flaw> {
        let (length, hash) = open(&mut file)?;
        let mut hasher = hasher(key);
        let mut buffer = vec![0; BUFFER.min(usize::try_from(length).unwrap_or(BUFFER))];
        let mut left = length;
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            match file.read(&mut buffer[..want]) {
                Ok(0) => return Err(Flaw::Damaged),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        check(&hasher, hash)?;
        file.seek(SeekFrom::Start(HEADER_LEN as u64))?;
        Ok(Self {
            file: file.take(length),
            length,
        })
    }

    /// Bytes of the content.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no caller needs it")]
    pub fn len(&self) -> u64 {
        self.length
    }
}

impl Read for Entry {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}
