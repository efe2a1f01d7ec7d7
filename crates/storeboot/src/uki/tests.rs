use std::fs;

use object::read::pe::PeFile64;
use object::{Object, ObjectSection};

use super::pe::{Section, certificates, plan};
use super::*;

const AMD64: Machine = IMAGE_FILE_MACHINE_AMD64;

/// A file with two sections, as a stub has them: headers of 512 bytes, and places in memory that are pages.
fn stub() -> Vec<u8> {
    let mut file = vec![0; 0x600];
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(&mut file, 0, b"MZ");
    put(&mut file, 0x3c, &0x40_u32.to_le_bytes());
    put(&mut file, 0x40, b"PE\0\0");
    put(&mut file, 0x44, &AMD64.0.to_le_bytes());
    put(&mut file, 0x46, &2_u16.to_le_bytes());
    put(&mut file, 0x4c, &0x600_u32.to_le_bytes());
    put(&mut file, 0x50, &7_u32.to_le_bytes());
    put(&mut file, 0x54, &(112 + 8 * 5_u16).to_le_bytes());
    let optional = 0x58;
    put(&mut file, optional, &0x20b_u16.to_le_bytes());
    for (at, value) in [
        (8, 0x200_u32),
        (32, 0x1000),
        (36, 0x200),
        (56, 0x3000),
        (60, 0x200),
        (64, 77),
        (108, 5),
    ] {
        put(&mut file, optional + at, &value.to_le_bytes());
    }
    put(&mut file, optional + 68, &10_u16.to_le_bytes());
    let table = optional + 112 + 8 * 5;
    for (number, (name, size)) in [(&b".text"[..], 0x1f0_u32), (b".sbat", 0x10)]
        .into_iter()
        .enumerate()
    {
        let at = table + 40 * number;
        put(&mut file, at, name);
        let place = number as u32;
        for (field, value) in [
            (8, size),
            (12, 0x1000 * (place + 1)),
            (16, 0x200),
            (20, 0x200 * (place + 1)),
        ] {
            put(&mut file, at + field, &value.to_le_bytes());
        }
    }
    file
}

fn section(name: &'static str, size: u64) -> Section {
    Section {
        name,
        size,
        is_code: name == ".linux",
    }
}

#[test]
fn sections_are_added_behind_those_of_the_stub() {
    let new = [section(".cmdline", 5), section(".linux", 0x201)];
    let plan = plan(&stub(), AMD64, &new).expect("a plan");
    assert_eq!(plan.offsets, [0x600, 0x800]);
    assert_eq!(plan.size, 0xc00);
    let mut file = plan.start.clone();
    assert_eq!(file.len(), 0x600);
    file.resize(plan.size as usize, 1);
    let parsed = PeFile64::parse(&*file).expect("a PE file");
    let sections: Vec<_> = parsed
        .sections()
        .map(|section| {
            (
                section.name().expect("a name").to_owned(),
                section.address(),
                section.size(),
                section.file_range(),
            )
        })
        .collect();
    let expected = |name: &str, address, size, offset, length| {
        (name.to_owned(), address, size, Some((offset, length)))
    };
    assert_eq!(
        sections,
        [
            expected(".text", 0x1000, 0x1f0, 0x200, 0x1f0),
            expected(".sbat", 0x2000, 0x10, 0x400, 0x10),
            expected(".cmdline", 0x3000, 5, 0x600, 5),
            expected(".linux", 0x4000, 0x201, 0x800, 0x201),
        ]
    );
    let headers = parsed.nt_headers();
    let optional = &headers.optional_header;
    let le = object::LittleEndian;
    assert_eq!(optional.size_of_image.get(le), 0x5000);
    assert_eq!(optional.size_of_initialized_data.get(le), 0x200 + 5 + 0x201);
    assert_eq!(optional.check_sum.get(le), 0);
    assert_eq!(headers.file_header.number_of_symbols.get(le), 0);
}

#[test]
fn what_firmware_would_not_load_is_refused() {
    let refused = |size| {
        let new = [section(".initrd", size), section(".linux", 1 << 20)];
        plan(&stub(), AMD64, &new).err()
    };
    let most = pe::LIMIT - (1 << 20) - 0x3000;
    assert_eq!(refused(most - 0x1000), None);
    for size in [most, pe::LIMIT, 5 << 30, u64::MAX - 0x1ff, u64::MAX] {
        assert!(matches!(refused(size), Some(Refusal::Large(_))), "{size}");
    }
}

#[test]
fn stubs_that_are_none_are_refused() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = stub();
        change(&mut file);
        let new: Vec<_> = (0..5).map(|_| section(".linux", 1)).collect();
        match plan(&file, AMD64, &new) {
            Err(Refusal::Stub(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    for (change, reason) in [
        (&|file: &mut Vec<u8>| file.clear() as (), "no PE file"),
        (
            &|file: &mut Vec<u8>| file[0x3c..0x40].fill(0xff),
            "no PE file",
        ),
        (&|file: &mut Vec<u8>| file[0x44] = 0, "machine of the type"),
        (&|file: &mut Vec<u8>| file[0x58] = 0, "no PE32+"),
        (&|file: &mut Vec<u8>| file[0x47] = 0xff, "cut off"),
        (&|file: &mut Vec<u8>| file[0x58 + 111] = 0xff, "cut off"),
        (&|file: &mut Vec<u8>| file[0x54] = 0, "contradict"),
        (
            &|file: &mut Vec<u8>| file[0x58 + 68] = 1,
            "no program for UEFI",
        ),
        (
            &|file: &mut Vec<u8>| file[0x58 + 112 + 32] = 1,
            "it is signed",
        ),
        (&|file: &mut Vec<u8>| file[0x58 + 32] = 3, "aligned to"),
        (&|file: &mut Vec<u8>| file.truncate(0x500), "cut off"),
        (&|_: &mut Vec<u8>| {}, "no room for 5 more sections"),
    ] as [(&dyn Fn(&mut Vec<u8>), &str); 12]
    {
        let found = refused(change);
        assert!(found.contains(reason), "{found:?} is not {reason:?}");
    }
    let twice = plan(&stub(), AMD64, &[section(".sbat", 1)]);
    assert!(matches!(twice, Err(Refusal::Stub(reason)) if reason.contains("already")));
}

#[test]
fn no_bytes_of_a_stub_end_in_a_panic() {
    let new = [section(".cmdline", 5), section(".linux", 0x201)];
    for at in 0..0x200 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut file = stub();
            file[at] = value;
            if let Ok(plan) = plan(&file, AMD64, &new) {
                assert!(plan.start.len() as u64 <= plan.offsets[0], "{at} {value}");
            }
            let _ = certificates(&file, AMD64);
        }
    }
    for length in 0..0x600 {
        assert!(plan(&stub()[..length], AMD64, &new).is_err(), "{length}");
    }
}

/// A netboot directory with a kernel that only looks like one.
fn netboot(folder: &Path, layout: &str, command_line: &str) -> PathBuf {
    let netboot = folder.join("netboot");
    fs::create_dir(&netboot).expect("a folder");
    let file = |name: &str, kind: &str, content: &[u8]| {
        fs::write(netboot.join(name), content).expect("a file");
        let (size, sha256) = crate::digest::of_reader(content).expect("a hash");
        serde_json::json!({ "name": name, "kind": kind, "size": size, "sha256": hex(&sha256) })
    };
    let files = [
        file("bzImage", "kernel", &stub()),
        file("initrd", "initrd", &[7; 5000]),
    ];
    let manifest = serde_json::json!({
        "schema": 1, "layout": layout, "init": "/nix/store/0123-nixos-system-web-1/init", "commandLine": command_line,
        "memory": 0, "kernel": { "file": "bzImage", "version": "6.12.1", "architecture": "x86_64" },
        "closure": { "paths": 0, "narSize": 0 }, "files": files, "segments": [], "images": [],
    });
    fs::write(netboot.join("manifest.json"), manifest.to_string()).expect("a manifest");
    netboot
}

/// A folder with a stub that has room, and a UKI on it.
fn world() -> (tempfile::TempDir, Uki) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = stub();
    // The first section begins later, so there is room for headers.
    file.splice(0x200..0x200, [0; 0x200]);
    let table = 0x58 + 112 + 8 * 5;
    for at in [table + 20, table + 40 + 20] {
        file[at + 1] += 2;
    }
    let path = folder.path().join("stub");
    fs::write(&path, file).expect("a file");
    (folder, Uki::new(path))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_directory_becomes_one_file() {
    let (folder, mut uki) = world();
    let netboot = netboot(folder.path(), "file", "init=/i quiet");
    let output = folder.path().join("out.efi");
    uki.command_line = " a=b ".into();
    let size = uki
        .build(&netboot, &output, &Context::new())
        .expect("a file");
    let file = fs::read(&output).expect("it is there");
    assert_eq!(file.len() as u64, size);
    let parsed = PeFile64::parse(&*file).expect("a PE file");
    let content = |name| {
        let section = parsed.section_by_name(name).expect("a section");
        section.data().expect("its content").to_vec()
    };
    assert_eq!(content(".cmdline"), b"init=/i quiet a=b");
    assert_eq!(content(".uname"), b"6.12.1");
    assert_eq!(
        content(".osrel"),
        b"ID=linux\nPRETTY_NAME=\"nixos-system-web-1\"\n"
    );
    assert_eq!(content(".initrd"), [7; 5000]);
    assert_eq!(content(".linux"), stub());
    uki.build(&netboot, &output, &Context::new())
        .expect("a file");
    assert_eq!(fs::read(&output).expect("it is there"), file);
    assert_eq!(names(folder.path()), ["netboot", "out.efi", "stub"]);
}

#[test]
fn a_link_in_the_directory_is_not_followed() {
    let (folder, uki) = world();
    let netboot = netboot(folder.path(), "file", "init=/i");
    let output = folder.path().join("out.efi");
    for name in ["bzImage", "initrd"] {
        let (file, aside) = (netboot.join(name), folder.path().join("aside"));
        fs::rename(&file, &aside).expect("it is moved");
        std::os::unix::fs::symlink(&aside, &file).expect("a link");
        let error = uki.build(&netboot, &output, &Context::new());
        let error = error.expect_err("a link").to_string();
        assert!(
            error.contains(name) && error.contains("it is a link"),
            "{error}"
        );
        fs::rename(&aside, &file).expect("it is moved back");
    }
    uki.build(&netboot, &output, &Context::new())
        .expect("a file");
}

#[test]
fn sizes_beyond_all_files_are_too_large() {
    let (folder, uki) = world();
    let netboot = netboot(folder.path(), "file", "init=/i");
    let path = netboot.join("manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let sound: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    // The kernel, the initrd, and both.
    for files in [&[0][..], &[1], &[0, 1]] {
        let mut manifest = sound.clone();
        for file in files {
            manifest["files"][file]["size"] = u64::MAX.into();
        }
        fs::write(&path, manifest.to_string()).expect("a manifest");
        let output = folder.path().join("out.efi");
        let error = uki.build(&netboot, &output, &Context::new());
        let error = error.expect_err("too large").to_string();
        let sentence = "the file would have 18446744073709551615 bytes, and firmware loads less";
        assert!(error.contains(sentence), "{error}");
    }
}

#[test]
fn what_cannot_be_one_file_leaves_nothing() {
    let (folder, mut uki) = world();
    let netboot = netboot(folder.path(), "fetch", "init=/i");
    let output = folder.path().join("out.efi");
    let refused = |uki: &Uki| {
        let error = uki.build(&netboot, &output, &Context::new());
        let error = error.expect_err("no file");
        assert_eq!(names(folder.path()), ["netboot", "stub"]);
        error.to_string()
    };
    let error = refused(&uki);
    assert!(error.contains("add storeboot.store=URL"), "{error}");
    uki.command_line = "storeboot.store=http://h/".into();
    for (command, reason) in [
        ("exit 3", "it ended with exit status: 3"),
        ("true", "it wrote no file where $SIGNED says"),
        (r#"cp "$UNSIGNED" "$SIGNED""#, "has no signature"),
        (r#"echo >"$SIGNED""#, "no PE file"),
    ] {
        uki.sign_with = Some(command.into());
        let error = refused(&uki);
        assert!(error.contains(reason), "{error}");
    }
    uki.sign_with = None;
    fs::write(netboot.join("initrd"), [8; 5000]).expect("a file");
    let error = refused(&uki);
    assert!(
        error.contains("initrd: it is not what the manifest says"),
        "{error}"
    );
    fs::write(netboot.join("bzImage"), "no kernel").expect("a file");
    let error = refused(&uki);
    assert!(error.contains("UEFI cannot start it"), "{error}");
}
