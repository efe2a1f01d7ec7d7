//! What the format cannot hold is an error that names the member, and writes no part of it.

use std::io::{self, Read, Write};

use storeboot_cpio::{Metadata, PATH_MAX, ReadError, Reader, WriteError, Writer};

const FILE: Metadata = Metadata::file();

/// Takes as many bytes as fit, as a disk does.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = bytes.len().min(self.0);
        self.0 -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("bad sector"))
    }
}

#[test]
fn what_newc_cannot_hold_is_refused_before_anything_is_written() {
    let mut writer = Writer::new(Vec::new());
    let empty = || io::empty();
    let long = vec![b'x'; PATH_MAX];
    let refused = [
        writer.file("big", &FILE, 1 << 32, io::repeat(0)),
        writer.hard_links(&["a", "b"], &FILE, 1 << 32, io::repeat(0)),
        writer
            .aligned_file("c", &FILE, 4096, 1 << 32, io::repeat(0))
            .map(drop),
        writer.file("", &FILE, 0, empty()),
        writer.file("a\0b", &FILE, 0, empty()),
        writer.file("TRAILER!!!", &FILE, 0, empty()),
        writer.file(&long, &FILE, 0, empty()),
        writer.directory(&long, &FILE),
        writer.hard_links(&["fine", "a\0b"], &FILE, 0, empty()),
        writer.hard_links(&["", "fine"], &FILE, 0, empty()),
        writer.hard_links(&[""; 0], &FILE, 0, empty()),
        writer.symlink("link", &FILE, ""),
        writer.symlink("link", &FILE, "a\0b"),
        writer.symlink("link", &FILE, vec![b'x'; PATH_MAX + 1]),
        writer.file("mode", &Metadata::mode(0o100_644), 0, empty()),
        writer.aligned_file("d", &FILE, 8192, 0, empty()).map(drop),
        writer.aligned_file("d", &FILE, 24, 0, empty()).map(drop),
        writer.aligned_file("d", &FILE, 0, 0, empty()).map(drop),
    ];
    for (index, refused) in refused.into_iter().enumerate() {
        let text = refused.expect_err(&index.to_string()).to_string();
        assert!(text.len() < 500 && !text.contains('\n'), "{text}");
    }
    assert_eq!(writer.position(), 0);
    writer.symlink("link", &FILE, vec![b'x'; PATH_MAX]).unwrap();
    writer.finish().unwrap();

    let text = Writer::new(Vec::new())
        .file("big", &FILE, 1 << 32, io::repeat(0))
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "big has 4294967296 bytes, and a cpio member holds at most 4294967295 (4 GiB - 1)"
    );
    assert!(matches!(
        Writer::with_offset(Vec::new(), 2),
        Err(WriteError::BadOffset { offset: 2 })
    ));
}

#[test]
fn four_gigabytes_less_one_byte_are_taken() {
    let size = u64::from(u32::MAX);
    let mut writer = Writer::new(io::sink());
    writer
        .file("big", &FILE, size, io::repeat(0).take(size))
        .unwrap();
    assert_eq!(writer.position(), 110 + 6 + size + 1);
}

#[test]
fn data_must_have_the_promised_size() {
    let write = |size: u64, data: &[u8]| {
        let mut writer = Writer::new(Vec::new());
        let result = writer.file("file", &FILE, size, data);
        (result, writer)
    };
    let (short, mut writer) = write(5, b"four");
    let text = short.unwrap_err().to_string();
    assert_eq!(text, "the data of file ends after 4 bytes instead of 5");
    // A half member must not become an archive.
    assert!(matches!(
        writer.directory("d", &FILE),
        Err(WriteError::Broken)
    ));
    assert!(matches!(writer.finish(), Err(WriteError::Broken)));

    let (long, writer) = write(3, b"four");
    let text = long.unwrap_err().to_string();
    assert_eq!(text, "the data of file goes on after its 3 bytes");
    assert!(writer.finish().is_err());
    assert!(write(4, b"four").0.is_ok());
    assert!(matches!(
        write(0, b"four").0,
        Err(WriteError::DataTooLong { .. })
    ));

    let mut writer = Writer::new(Vec::new());
    let error = writer.file("file", &FILE, 1, Unreadable).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the data of file");
    let cause = std::error::Error::source(&error).expect("a cause");
    assert_eq!(cause.to_string(), "bad sector");
    assert_eq!(error.name(), Some("file"));
    assert!(error.io_error().is_some());
}

#[test]
fn a_full_disk_is_an_error_wherever_it_comes() {
    let write = |room: usize| {
        let mut writer = Writer::new(Disk(room));
        writer.directory("d", &FILE)?;
        writer.file("d/file", &FILE, 5, &b"12345"[..])?;
        writer.finish().map(drop)
    };
    let whole = 112 + 128 + 124;
    for room in 0..whole {
        assert!(
            matches!(write(room), Err(WriteError::Write { .. })),
            "{room}"
        );
    }
    write(whole).unwrap();
}

#[test]
fn every_cut_of_an_archive_is_noticed() {
    let mut writer = Writer::new(Vec::new());
    writer.file("file", &FILE, 5, &b"12345"[..]).unwrap();
    writer.symlink("link", &FILE, "file").unwrap();
    let archive = writer.finish().unwrap();
    let walk = |bytes: &[u8]| -> Result<(), ReadError> {
        let mut reader = Reader::new(bytes);
        while let Some(mut entry) = reader.next_entry()? {
            entry.target()?;
        }
        assert_eq!(reader.position(), bytes.len() as u64);
        Ok(())
    };
    walk(&archive).unwrap();
    for cut in 0..archive.len() {
        assert!(walk(&archive[..cut]).is_err(), "{cut}");
    }
    assert!(matches!(walk(b""), Err(ReadError::NoTrailer { offset: 0 })));
}

#[test]
fn an_entry_says_where_its_data_was_cut_off() {
    let mut writer = Writer::new(Vec::new());
    writer.file("file", &FILE, 5, &b"12345"[..]).unwrap();
    let archive = writer.finish().unwrap();
    let mut reader = Reader::new(&archive[..116 + 3]);
    let mut entry = reader.next_entry().unwrap().unwrap();
    let mut data = Vec::new();
    let error = entry.read_to_end(&mut data).unwrap_err();
    assert_eq!(data, b"123");
    assert_eq!(
        error.to_string(),
        "the archive ends after 3 of the 5 bytes of file"
    );
    assert!(reader.next_entry().is_err());
    assert!(matches!(reader.next_entry(), Err(ReadError::Failed)));
}

/// An archive with one file, with its header's fields as told.
fn archive(magic: &str, size: u32, name: &[u8], sum: u32, data: &[u8]) -> Vec<u8> {
    let header = |size: u32, name: &[u8], sum: u32| {
        let fields = [
            1,
            0o100_644,
            0,
            0,
            1,
            1,
            size,
            0,
            0,
            0,
            0,
            name.len() as u32,
            sum,
        ];
        let fields: String = fields.iter().map(|field| format!("{field:08x}")).collect();
        let mut bytes = [magic.as_bytes(), fields.as_bytes(), name].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let mut bytes = [header(size, name, sum), data.to_vec()].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    [bytes, header(0, b"TRAILER!!!\0", 0)].concat()
}

fn walk(bytes: &[u8]) -> Result<usize, ReadError> {
    let mut reader = Reader::new(bytes);
    let mut members = 0;
    while reader.next_entry()?.is_some() {
        members += 1;
    }
    Ok(members)
}

#[test]
fn headers_are_checked() {
    let good = archive("070701", 3, b"name\0", 0, b"abc");
    assert_eq!(walk(&good).unwrap(), 1);
    assert!(matches!(
        walk(&archive("070707", 3, b"name\0", 0, b"abc")),
        Err(ReadError::NoMagic { .. })
    ));
    assert!(matches!(
        walk(&archive("070701", 3, b"name", 0, b"abc")),
        Err(ReadError::NameWithoutNul { .. })
    ));
    assert!(matches!(
        walk(&archive("070701", 3, b"a\0b\0", 0, b"abc")),
        Err(ReadError::HiddenName { .. })
    ));
    assert!(matches!(
        walk(&archive("070701", 3, b"", 0, b"abc")),
        Err(ReadError::NameWithoutNul { .. })
    ));
    assert!(matches!(
        walk(&archive("070701", 3, &[0; 4097], 0, b"abc")),
        Err(ReadError::NameTooLong { .. })
    ));
    let mut sign = good.clone();
    sign[6] = b'+';
    assert!(matches!(walk(&sign), Err(ReadError::NotHex { .. })));
    assert_eq!(walk(&good.to_ascii_uppercase()).unwrap(), 1);

    // The other magic number comes with a sum.
    let sum = u32::from(b'a') + u32::from(b'b') + u32::from(b'c');
    assert_eq!(
        walk(&archive("070702", 3, b"name\0", sum, b"abc")).unwrap(),
        1
    );
    let wrong = walk(&archive("070702", 3, b"name\0", sum + 1, b"abc"));
    assert!(matches!(wrong, Err(ReadError::WrongSum { .. })));
}
