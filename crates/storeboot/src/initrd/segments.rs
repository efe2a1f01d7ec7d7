//! The segments of an initrd, read as the kernel reads them.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use serde::Serialize;
use storeboot_cpio::{FileType, Reader};
use storeboot_squashfs::format::{MAGIC, SUPERBLOCK_SIZE, Superblock, compressor};

use crate::Error;
use crate::compress::{Codec, SegmentReader};
use crate::plain::Plain;

/// Members of an archive that are listed one by one; of the others there is the count.
const MEMBERS_LISTED: usize = 64;
/// The same for all archives of an initrd, which may be one for each store path.
const ALL_MEMBERS_LISTED: usize = 1024;
/// Archives of an initrd at most. Where each store path is one, an initrd has some ten thousand.
const SEGMENTS_MAX: usize = 1 << 20;

/// One archive of an initrd.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InitrdSegment {
    /// Where it begins.
    pub offset: u64,
    /// Bytes in the initrd.
    pub size: u64,
    /// `none`, `zstd`, `xz`, `gzip` or `lz4`.
    pub compression: String,
    /// Number of members.
    pub members: u64,
    /// Bytes of the members' data.
    pub content_size: u64,
    /// The first members.
    pub listed: Vec<Member>,
}

/// A member to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    /// The names that it may have, without a `/` in front.
    pub(crate) names: &'a [&'a [u8]],
    /// Bytes of its data to keep at most.
    pub(crate) keep: u64,
}

impl Search<'_> {
    fn finds(&self, name: &[u8]) -> bool {
        let name = name.strip_prefix(b".").unwrap_or(name);
        let name = name.strip_prefix(b"/").unwrap_or(name);
        self.names.contains(&name)
    }
}

/// What a search has found so far. Only the last member is kept: each may be a long one.
struct Found<'a> {
    search: Search<'a>,
    last: Option<Sought>,
}

impl<'a> Found<'a> {
    fn none(search: Search<'a>) -> Self {
        Self { search, last: None }
    }
}

/// A member that was sought by its name.
#[derive(Clone, Debug)]
pub(crate) struct Sought {
    pub(crate) file_type: Option<FileType>,
    pub(crate) executable: bool,
    /// Whether the data may be with another name of the same file.
    pub(crate) linked: bool,
    /// The first bytes of its data, as many as were asked for.
    pub(crate) start: Vec<u8>,
}

/// A member of an archive.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Member {
    /// Its name; bytes that are not text are replaced.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// Its permissions and type, as in `st_mode`.
    pub mode: u32,
    /// Where its data begins in the initrd, if the segment is not compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What it holds, if it is a store image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageInfo>,
}

/// A store image, by its superblock.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageInfo {
    /// `gzip`, `xz`, `lz4`, `zstd` or the number of another one.
    pub compression: String,
    /// Bytes of a block.
    pub block_size: u32,
    /// Number of inodes.
    pub inodes: u32,
    /// Number of fragments.
    pub fragments: u32,
    /// Bytes used, without padding.
    pub size: u64,
    /// Time of the image, in seconds since 1970.
    pub time: u32,
}

/// What is in a file that may be an initrd.
pub(crate) enum InitrdFile {
    /// A store image.
    Image(ImageInfo),
    /// Segments, one at least, and the last member of a name that was sought, the one that counts.
    Initrd(Vec<InitrdSegment>, Option<Sought>),
}

/// Reads the initrd or the store image at `path`, and looks for a member.
pub(crate) fn read(path: &Path, sought: Option<Search<'_>>) -> Result<InitrdFile, Error> {
    let mut file = File::open(path).map_err(Error::read(path))?;
    let mut start = Vec::new();
    file.by_ref()
        .take(SUPERBLOCK_SIZE as u64)
        .read_to_end(&mut start)
        .map_err(Error::read(path))?;
    if let Some(image) = image(&start) {
        return Ok(InitrdFile::Image(image));
    }
    file.rewind().map_err(Error::read(path))?;
    let mut found = sought.map(Found::none);
    let input = BufReader::with_capacity(1 << 20, file);
    let segments = segments(path, input, found.as_mut(), SEGMENTS_MAX)?;
    if segments.is_empty() {
        return Err(fault(path, "it holds nothing".into()));
    }
    Ok(InitrdFile::Initrd(
        segments,
        found.and_then(|found| found.last),
    ))
}

fn segments(
    path: &Path,
    mut input: impl BufRead + Seek,
    mut found: Option<&mut Found<'_>>,
    limit: usize,
) -> Result<Vec<InitrdSegment>, Error> {
    let mut segments = Vec::new();
    let mut room = ALL_MEMBERS_LISTED;
    loop {
        skip_zeros(&mut input).map_err(Error::read(path))?;
        let offset = input.stream_position().map_err(Error::read(path))?;
        let start = input.fill_buf().map_err(Error::read(path))?;
        if start.is_empty() {
            return Ok(segments);
        }
        if segments.len() == limit {
            return Err(fault(path, format!("it has more than {limit} segments")));
        }
        let packing = Codec::detect(start);
        let at = |error: &dyn fmt::Display| fault(path, format!("at byte {offset}: {error}"));
        let mut segment = match packing {
            None if start.starts_with(b"0707") => {
                archive(&mut input, Some(offset), room, found.as_deref_mut())
            }
            None => {
                return Err(at(
                    &"this is neither an archive nor a compression that Linux knows",
                ));
            }
            Some(packing) => SegmentReader::new(&mut input, packing)
                .map_err(|error| error.to_string())
                .and_then(|mut reader| {
                    let segment = archive(&mut reader, None, room, found.as_deref_mut())?;
                    // Behind the trailer: what is left tells the decoder that all is well.
                    std::io::copy(&mut reader, &mut std::io::sink())
                        .map_err(|error| error.to_string())?;
                    Ok(segment)
                }),
        }
        .map_err(|error| at(&error))?;
        room -= segment.listed.len();
        segment.offset = offset;
        segment.size = input.stream_position().map_err(Error::read(path))? - offset;
        segment.compression = packing.map_or_else(|| "none".into(), |packing| packing.to_string());
        segments.push(segment);
    }
}

fn skip_zeros(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        if zeros == 0 {
            return Ok(());
        }
        input.consume(zeros);
    }
}

/// Walks one archive; `offset` is where it begins, if places in it mean anything. At most `room` members are listed.
fn archive(
    input: impl Read,
    offset: Option<u64>,
    room: usize,
    mut found: Option<&mut Found<'_>>,
) -> Result<InitrdSegment, String> {
    let mut reader = Reader::new(input);
    let mut segment = InitrdSegment {
        offset: 0,
        size: 0,
        compression: String::new(),
        members: 0,
        content_size: 0,
        listed: Vec::new(),
    };
    while let Some(mut entry) = reader.next_entry().map_err(|error| error.to_string())? {
        segment.members += 1;
        let header = *entry.header();
        let size = u64::from(header.size);
        segment.content_size += size;
        let name = entry.name();
        let mut found = found
            .as_deref_mut()
            .filter(|found| found.search.finds(name));
        if let Some(found) = &mut found {
            found.last = None;
        }
        let is_listed = segment.listed.len() < MEMBERS_LISTED.min(room);
        let wanted = match (&found, header.file_type()) {
            (Some(found), _) => found.search.keep,
            (_, Some(FileType::File)) if is_listed => SUPERBLOCK_SIZE as u64,
            _ => 0,
        };
        let mut start = Vec::new();
        entry
            .by_ref()
            .take(wanted)
            .read_to_end(&mut start)
            .map_err(|error| error.to_string())?;
        if is_listed {
            segment.listed.push(Member {
                name: String::from_utf8_lossy(entry.name()).into_owned(),
                size,
                mode: header.mode,
                offset: offset.map(|offset| offset + header.data_offset),
                image: image(&start[..start.len().min(SUPERBLOCK_SIZE)]),
            });
        }
        if let Some(found) = found {
            found.last = Some(Sought {
                file_type: header.file_type(),
                executable: header.mode & 0o111 != 0,
                linked: header.nlink > 1,
                start,
            });
        }
    }
    Ok(segment)
}

fn image(start: &[u8]) -> Option<ImageInfo> {
    if !start.starts_with(&MAGIC.to_le_bytes()) {
        return None;
    }
    let superblock = Superblock::decode(start.try_into().ok()?)?;
    Some(ImageInfo {
        compression: match superblock.compressor {
            compressor::GZIP => "gzip".into(),
            compressor::XZ => "xz".into(),
            compressor::LZ4 => "lz4".into(),
            compressor::ZSTD => "zstd".into(),
            other => format!("compressor {other}"),
        },
        block_size: superblock.block_size,
        inodes: superblock.inode_count,
        fragments: superblock.fragment_count,
        size: superblock.bytes_used,
        time: superblock.mod_time,
    })
}

fn fault(path: &Path, reason: String) -> Error {
    Error::Fault {
        path: path.into(),
        reason,
    }
}

impl fmt::Display for InitrdSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "segment at byte {}: {} bytes, compression {}, {} members with {} bytes",
            self.offset, self.size, self.compression, self.members, self.content_size
        )?;
        for member in &self.listed {
            write!(
                f,
                "  {:06o} {:>12} {}",
                member.mode,
                member.size,
                Plain(&member.name)
            )?;
            match (&member.image, member.offset) {
                (Some(image), Some(offset)) => {
                    writeln!(f, " (store image at byte {offset}: {image})")?
                }
                (Some(image), None) => writeln!(f, " (store image: {image})")?,
                _ => writeln!(f)?,
            }
        }
        match self.members - self.listed.len() as u64 {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

impl fmt::Display for ImageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "squashfs, {} inodes, {} bytes, {} in blocks of {} bytes, {} fragments, time {}",
            self.inodes, self.size, self.compression, self.block_size, self.fragments, self.time
        )
    }
}

#[cfg(test)]
mod tests {
    use storeboot_cpio::{Metadata, Writer};

    use super::*;

    /// An archive with one member.
    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let mut archive = Writer::new(Vec::new());
        let size = content.len() as u64;
        archive
            .file(name, &Metadata::file(), size, content)
            .unwrap();
        archive.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8], sought: Option<Search<'_>>) -> Result<InitrdFile, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path(), sought)
    }

    #[test]
    fn the_last_member_of_a_name_is_the_one_that_counts() {
        let sought = Search {
            names: &[b"a"],
            keep: 3,
        };
        let members = [("a", "first"), ("a", "last"), ("b", "other")];
        let bytes = members.map(|(name, content)| archive(name, content.as_bytes()));
        let InitrdFile::Initrd(segments, found) =
            read_bytes(&bytes.concat(), Some(sought)).unwrap()
        else {
            panic!("no archives");
        };
        assert_eq!(segments.len(), 3);
        assert_eq!(found.unwrap().start, b"las");
    }

    #[test]
    fn there_are_not_more_segments_than_are_remembered() {
        let empty = Writer::new(Vec::new()).finish().unwrap();
        let all = empty.repeat(3);
        let read = |limit| segments("initrd".as_ref(), std::io::Cursor::new(&all), None, limit);
        assert_eq!(read(3).unwrap().len(), 3);
        let error = read(2).unwrap_err().to_string();
        assert!(error.contains("more than 2 segments"), "{error}");
    }

    #[test]
    fn the_name_of_a_member_adds_no_line_and_no_control_character() {
        let name = "x\n\u{1b}]0;title\u{7}\u{9b}2J";
        let InitrdFile::Initrd(segments, _) = read_bytes(&archive(name, b""), None).unwrap() else {
            panic!("no archive");
        };
        let shown = segments[0].to_string();
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(
            shown.ends_with(" x\\n\\u{1b}]0;title\\u{7}\\u{9b}2J\n"),
            "{shown}"
        );
        assert_eq!(segments[0].listed[0].name, name);
    }
}
