//! What is written is read again: by our own reader, by another's, and whatever the members.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use cpio_archive::CpioReader as _;
use proptest::prelude::*;
use storeboot_cpio::{FileType, Header, Metadata, PATH_MAX, Reader, WriteError, Writer};

/// What a test writes.
#[derive(Debug, Clone)]
enum Member {
    Directory,
    Symlink(Vec<u8>),
    Char(u32, u32),
    Block(u32, u32),
    File(Vec<u8>),
    Aligned(u64, Vec<u8>),
    Links(Vec<Vec<u8>>, Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z]{1,12}(/[a-zé]{1,9}){0,3}".prop_map(String::into_bytes),
        2 => prop::collection::vec(1_u8.., 1..40),
        1 => prop::collection::vec(1_u8.., 3000..PATH_MAX),
    ]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (100_000_usize..300_000).prop_map(|size| vec![b'x'; size]),
    ]
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        Just(Member::Directory),
        name().prop_map(Member::Symlink),
        (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Member::Char(major, minor)),
        (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Member::Block(major, minor)),
        data().prop_map(Member::File),
        (2_u32..=12, data()).prop_map(|(bits, data)| Member::Aligned(1 << bits, data)),
        (prop::collection::vec(name(), 0..4), data())
            .prop_map(|(names, data)| Member::Links(names, data)),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (0..0o10000_u32, any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
        |(mode, uid, gid, mtime)| Metadata {
            mode,
            uid,
            gid,
            mtime,
        },
    )
}

/// One member as it should be read: name, header, data.
type Expected = (Vec<u8>, FileType, Metadata, u32, (u32, u32), Vec<u8>);

/// Writes it, and returns what should be read of it.
fn write(
    writer: &mut Writer<Vec<u8>>,
    name: &[u8],
    meta: &Metadata,
    member: &Member,
) -> Result<(Vec<Expected>, Option<u64>), WriteError> {
    let one = |kind, nlink, rdev, data: &[u8]| {
        vec![(name.to_vec(), kind, *meta, nlink, rdev, data.to_vec())]
    };
    let mut offset = None;
    let expected = match member {
        Member::Directory => {
            writer.directory(name, meta)?;
            one(FileType::Directory, 2, (0, 0), b"")
        }
        Member::Symlink(target) => {
            writer.symlink(name, meta, target)?;
            one(FileType::Symlink, 1, (0, 0), target)
        }
        Member::Char(major, minor) => {
            writer.char_device(name, meta, *major, *minor)?;
            one(FileType::CharDevice, 1, (*major, *minor), b"")
        }
        Member::Block(major, minor) => {
            writer.block_device(name, meta, *major, *minor)?;
            one(FileType::BlockDevice, 1, (*major, *minor), b"")
        }
        Member::File(data) => {
            writer.file(name, meta, data.len() as u64, &data[..])?;
            one(FileType::File, 1, (0, 0), data)
        }
        Member::Aligned(align, data) => {
            let at = writer.aligned_file(name, meta, *align, data.len() as u64, &data[..])?;
            assert_eq!(at % align, 0);
            offset = Some(at);
            one(FileType::File, 1, (0, 0), data)
        }
        Member::Links(others, data) => {
            let names: Vec<&[u8]> = others.iter().map(Vec::as_slice).chain([name]).collect();
            writer.hard_links(&names, meta, data.len() as u64, &data[..])?;
            let links = names.len() as u32;
            let mut all = Vec::new();
            for (index, name) in names.iter().enumerate() {
                let data: &[u8] = if index + 1 == names.len() { data } else { b"" };
                all.push((
                    name.to_vec(),
                    FileType::File,
                    *meta,
                    links,
                    (0, 0),
                    data.to_vec(),
                ));
            }
            all
        }
    };
    Ok((expected, offset))
}

fn read(archive: &[u8]) -> (Vec<(Header, Expected)>, u64) {
    let mut reader = Reader::new(archive);
    let mut found = Vec::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let header = *entry.header();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        let meta = Metadata {
            mode: header.permissions(),
            uid: header.uid,
            gid: header.gid,
            mtime: header.mtime,
        };
        let kind = header.file_type().unwrap();
        let name = entry.name().to_vec();
        found.push((header, (name, kind, meta, header.nlink, header.rdev, data)));
    }
    (found, reader.position())
}

/// Without directories that were there before: one may be there again, to align what follows it.
fn once(mut members: Vec<Expected>) -> Vec<Expected> {
    let mut directories = BTreeSet::new();
    members
        .retain(|member| member.1 != FileType::Directory || directories.insert(member.0.clone()));
    members
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_that_is_written_is_read(
        members in prop::collection::vec((name(), metadata(), member()), 0..12),
        start in 0_u64..5000,
    ) {
        let start = start * 4;
        let mut writer = Writer::with_offset(Vec::new(), start).unwrap();
        // So that every name but the longest can be aligned.
        let mut expected = write(&mut writer, b"d", &Metadata::directory(), &Member::Directory).unwrap().0;
        let mut offsets = BTreeMap::new();
        for (name, meta, member) in &members {
            match write(&mut writer, name, meta, member) {
                Ok((members, offset)) => {
                    expected.extend(members);
                    if let (Some(offset), Member::Aligned(_, data)) = (offset, member) {
                        offsets.insert((offset - start) as usize, data);
                    }
                }
                // Two long names, the directory's and its own. Nothing has been written.
                Err(WriteError::CannotAlign { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let end = writer.position();
        let archive = writer.finish().unwrap();
        prop_assert_eq!(archive.len() as u64, end + 124 - start);
        for (offset, data) in offsets {
            prop_assert_eq!(&archive[offset..][..data.len()], &data[..]);
        }

        let (found, position) = read(&archive);
        prop_assert_eq!(position, archive.len() as u64);
        let mut seen = Vec::new();
        let mut inodes = 0;
        for (header, member) in found {
            // In order from 1 on, and only links share one.
            prop_assert!(header.ino == inodes + 1 || header.ino == inodes && header.nlink > 1);
            inodes = header.ino;
            prop_assert_eq!(header.data_offset % 4, 0);
            seen.push(member);
        }
        prop_assert_eq!(once(seen), once(expected));
    }

    #[test]
    fn the_cpio_archive_crate_reads_the_same(
        members in prop::collection::vec(("[a-zé]{1,30}", metadata(), member()), 0..12),
    ) {
        let mut writer = Writer::new(Vec::new());
        let mut expected = Vec::new();
        for (name, meta, member) in &members {
            // It takes no padded names, and shows odd bytes as question marks.
            if matches!(member, Member::Aligned(..) | Member::Links(..)) {
                continue;
            }
            expected.extend(write(&mut writer, name.as_bytes(), meta, member).unwrap().0);
        }
        let archive = writer.finish().unwrap();

        let mut theirs = cpio_archive::NewcReader::new(&archive[..]);
        for (name, kind, meta, nlink, _, data) in expected {
            let header = theirs.read_next().unwrap().expect("one more");
            prop_assert_eq!(header.name().as_bytes(), &name[..]);
            prop_assert_eq!(FileType::from_mode(header.mode()), Some(kind));
            prop_assert_eq!(header.mode() & 0o7777, meta.mode);
            prop_assert_eq!((header.uid(), header.gid()), (meta.uid, meta.gid));
            prop_assert_eq!((header.mtime(), header.nlink()), (meta.mtime, nlink));
            let mut bytes = Vec::new();
            theirs.read_to_end(&mut bytes).unwrap();
            prop_assert_eq!(bytes, data);
        }
        prop_assert!(theirs.read_next().unwrap().is_none());
    }
}

#[test]
fn every_length_of_name_can_be_aligned() {
    for length in (1..PATH_MAX).step_by(13).chain(4080..PATH_MAX) {
        for before in [0, 1, 900, 3900] {
            let mut writer = Writer::new(Vec::new());
            writer.directory("dir", &Metadata::directory()).unwrap();
            let filler = vec![b'f'; before];
            writer
                .file("filler", &Metadata::file(), before as u64, &filler[..])
                .unwrap();
            let name = vec![b'n'; length];
            let offset = writer.aligned_file(&name, &Metadata::file(), 4096, 4, &b"hsqs"[..]);
            match offset {
                Ok(offset) => {
                    let archive = writer.finish().unwrap();
                    assert_eq!(offset % 4096, 0);
                    assert_eq!(&archive[offset as usize..][..4], b"hsqs");
                    let (found, _) = read(&archive);
                    let (_, last) = &found[found.len() - 1];
                    assert_eq!((&last.0, &last.5[..]), (&name, &b"hsqs"[..]));
                    assert!(
                        found
                            .iter()
                            .all(|(header, _)| header.namesize as usize <= PATH_MAX)
                    );
                }
                // Only where even both names together are too long to be padded by a page.
                Err(error) => assert!(length + "dir".len() > 4080, "{length}: {error}"),
            }
        }
    }
}

#[test]
fn without_a_directory_what_cannot_be_aligned_is_an_error() {
    let mut writer = Writer::new(Vec::new());
    // What comes next would begin 4 bytes after a page: its name would need 4092 bytes more.
    let size = 4096 - (110 + 2) - (110 + 6) + 4;
    writer
        .file("a", &Metadata::file(), size, &vec![0; size as usize][..])
        .unwrap();
    let error = writer
        .aligned_file("image", &Metadata::file(), 4096, 0, &b""[..])
        .unwrap_err();
    assert!(matches!(error, WriteError::CannotAlign { .. }), "{error}");
    // It was noticed before anything was written.
    let (found, _) = read(&writer.finish().unwrap());
    assert_eq!(found.len(), 1);
}
