use std::io::{self, Read};

use crate::header::{HEADER_LEN, Header, padding};
use crate::{FileType, PATH_MAX, ReadError, TRAILER, name};

/// How much is read at once of data that is skipped.
const BUFFER: usize = 64 * 1024;

/// Reads the members of a newc archive, and stops after its trailer.
///
/// It reads exactly the bytes of the archive and none after it, so a caller can go on with
/// what follows: an initrd is often several archives one after the other. Many reads are small, so
/// the input should be buffered. Memory is bounded, whatever the archive holds.
///
/// ```
/// use std::io::Read;
/// use storeboot_cpio::{FileType, Metadata, Reader, Writer};
///
/// let mut writer = Writer::new(Vec::new());
/// writer.file("hello", &Metadata::file(), 3, &b"hi\n"[..])?;
/// let archive = [writer.finish()?, b"and more".to_vec()].concat();
///
/// let mut reader = Reader::new(&archive[..]);
/// let mut entry = reader.next_entry()?.expect("there is one");
/// assert_eq!(entry.name(), b"hello");
/// assert_eq!(entry.header().file_type(), Some(FileType::File));
/// let mut text = String::new();
/// entry.read_to_string(&mut text)?;
/// assert_eq!(text, "hi\n");
///
/// assert!(reader.next_entry()?.is_none());
/// assert_eq!(reader.into_inner(), b"and more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    reader: R,
    position: u64,
    state: State,
    buffer: Vec<u8>,
    // Of the current member:
    name: Vec<u8>,
    size: u64,
    left: u64,
    /// The sum of the data that its header states, if it states one.
    stated: Option<u32>,
    sum: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Reading,
    /// After the trailer.
    Done,
    /// An error left it inside a member.
    Failed,
}

impl<R: Read> Reader<R> {
    /// Starts to read an archive.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            position: 0,
            state: State::Reading,
            buffer: Vec::new(),
            name: Vec::new(),
            size: 0,
            left: 0,
            stated: None,
            sum: 0,
        }
    }

    /// How many bytes were read. After the last member, that is the whole archive with
    /// its trailer and the padding to the next multiple of 4.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The input, which stands after the bytes that were read.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The next member, or `None` after the trailer. Skips what was not read of the previous member's
    /// data. After an error there are only errors.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, R>>, ReadError> {
        match self.state {
            State::Done => return Ok(None),
            State::Failed => return Err(ReadError::Failed),
            State::Reading => self.state = State::Failed,
        }
        self.skip_rest()?;
        let header = self.header()?;
        if self.name == TRAILER {
            self.skip_rest()?;
            self.state = State::Done;
            return Ok(None);
        }
        self.state = State::Reading;
        Ok(Some(Entry {
            reader: self,
            header,
        }))
    }

    /// Reads a header and a name, up to where the data begins.
    fn header(&mut self) -> Result<Header, ReadError> {
        let offset = self.position;
        let mut bytes = [0; HEADER_LEN];
        let got = self.fill(&mut bytes)?;
        if got == 0 {
            return Err(ReadError::NoTrailer { offset });
        }
        let mut header = Header::parse(&bytes[..got], offset)?;

        let namesize = header.namesize as usize;
        if namesize > PATH_MAX {
            return Err(ReadError::NameTooLong { offset, namesize });
        }
        let mut name = vec![0; namesize];
        self.exact(&mut name, offset)?;
        let Some(end) = name.iter().position(|byte| *byte == 0) else {
            return Err(ReadError::NameWithoutNul { offset });
        };
        if name[end..].iter().any(|byte| *byte != 0) {
            let name = name::display(&name[..end]);
            return Err(ReadError::HiddenName { offset, name });
        }
        name.truncate(end);
        self.exact(
            &mut [0; 4][..padding((HEADER_LEN + namesize) as u64)],
            offset,
        )?;

        header.data_offset = self.position;
        self.name = name;
        self.size = header.size.into();
        self.left = self.size;
        self.stated = header.checksum;
        self.sum = 0;
        Ok(header)
    }

    /// Skips to where the next member begins, and compares the sum of the data.
    fn skip_rest(&mut self) -> Result<(), ReadError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(BUFFER, 0);
        while self.left > 0 {
            if self
                .data(&mut buffer)
                .map_err(|source| self.failed(source))?
                == 0
            {
                return Err(self.truncated());
            }
        }
        self.buffer = buffer;
        let offset = self.position;
        self.exact(&mut [0; 4][..padding(self.size)], offset)?;
        self.size = 0;
        match self.stated.take() {
            Some(stated) if stated != self.sum => Err(ReadError::WrongSum {
                name: name::display(&self.name),
                stated,
                found: self.sum,
            }),
            _ => Ok(()),
        }
    }

    /// Reads some of the data: no bytes at its end, or where the input ends too early.
    fn data(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| buffer.len().min(left));
        let n = loop {
            match self.reader.read(&mut buffer[..want]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?.min(want),
            }
        };
        self.left -= n as u64;
        self.position += n as u64;
        if self.stated.is_some() {
            let sum = buffer[..n]
                .iter()
                .fold(self.sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
            self.sum = sum;
        }
        Ok(n)
    }

    /// Fills `bytes`, or as much of it as there is input for.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, ReadError> {
        let mut got = 0;
        while got < bytes.len() {
            match self.reader.read(&mut bytes[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        self.position += got as u64;
        Ok(got)
    }

    fn exact(&mut self, bytes: &mut [u8], offset: u64) -> Result<(), ReadError> {
        if self.fill(bytes)? == bytes.len() {
            return Ok(());
        }
        Err(ReadError::Truncated {
            offset,
            position: self.position,
        })
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Read {
            position: self.position,
            source,
        }
    }

    fn truncated(&self) -> ReadError {
        ReadError::DataTruncated {
            name: name::display(&self.name),
            size: self.size,
            got: self.size - self.left,
        }
    }
}

/// One member: its header, its name and, through [`Read`], its data.
///
/// Reading ends with the member's data. Input that ends earlier is an error.
#[derive(Debug)]
pub struct Entry<'a, R> {
    reader: &'a mut Reader<R>,
    header: Header,
}

impl<R: Read> Entry<'_, R> {
    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its name as it is in the archive, without the NUL bytes that end or pad it.
    pub fn name(&self) -> &[u8] {
        &self.reader.name
    }

    /// Reads the target of a symbolic link; `None` for any other member.
    pub fn target(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.header.file_type() != Some(FileType::Symlink) {
            return Ok(None);
        }
        if self.header.size as usize > PATH_MAX {
            return Err(ReadError::TargetTooLong {
                name: name::display(self.name()),
                size: self.header.size,
            });
        }
        let mut target = Vec::new();
        while self.reader.left > 0 {
            let mut bytes = [0; PATH_MAX];
            match self.reader.data(&mut bytes) {
                Ok(0) => return Err(self.reader.truncated()),
                Ok(n) => target.extend_from_slice(&bytes[..n]),
                Err(source) => return Err(self.reader.failed(source)),
            }
        }
        Ok(Some(target))
    }
}

impl<R: Read> Read for Entry<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.data(buffer)?;
        if n == 0 && !buffer.is_empty() && self.reader.left > 0 {
            let error = self.reader.truncated();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
        Ok(n)
    }
}
