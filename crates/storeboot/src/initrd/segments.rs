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
    /// The last member of the name that was sought, the one that counts.
    #[serde(skip)]
    pub(crate) sought: Option<Sought>,
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
    /// Segments, one at least.
    Initrd(Vec<InitrdSegment>),
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
    let segments = segments(path, BufReader::with_capacity(1 << 20, file), sought)?;
    if segments.is_empty() {
        return Err(fault(path, "it holds nothing".into()));
    }
    Ok(InitrdFile::Initrd(segments))
}

fn segments(
    path: &Path,
    mut input: impl BufRead + Seek,
    sought: Option<Search<'_>>,
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
        let packing = Codec::detect(start);
        let at = |error: &dyn fmt::Display| fault(path, format!("at byte {offset}: {error}"));
        let mut segment = match packing {
            None if start.starts_with(b"0707") => archive(&mut input, Some(offset), room, sought),
            None => {
                return Err(at(
                    &"this is neither an archive nor a compression that Linux knows",
                ));
            }
            Some(packing) => SegmentReader::new(&mut input, packing)
                .map_err(|error| error.to_string())
                .and_then(|mut reader| {
                    let segment = archive(&mut reader, None, room, sought)?;
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
    sought: Option<Search<'_>>,
) -> Result<InitrdSegment, String> {
    let mut reader = Reader::new(input);
    let mut segment = InitrdSegment {
        offset: 0,
        size: 0,
        compression: String::new(),
        members: 0,
        content_size: 0,
        listed: Vec::new(),
        sought: None,
    };
    while let Some(mut entry) = reader.next_entry().map_err(|error| error.to_string())? {
        segment.members += 1;
        let header = *entry.header();
        let size = u64::from(header.size);
        segment.content_size += size;
        let found = sought.filter(|sought| sought.finds(entry.name()));
        let is_listed = segment.listed.len() < MEMBERS_LISTED.min(room);
        let wanted = match (found, header.file_type()) {
            (Some(sought), _) => sought.keep,
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
        if found.is_some() {
            segment.sought = Some(Sought {
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

    #[test]
    fn the_name_of_a_member_adds_no_line_and_no_control_character() {
        let mut archive = Writer::new(Vec::new());
        let name = "x\n\u{1b}]0;title\u{7}\u{9b}2J";
        archive.file(name, &Metadata::file(), 0, &b""[..]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), archive.finish().unwrap()).unwrap();
        let InitrdFile::Initrd(segments) = read(file.path(), None).unwrap() else {
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
