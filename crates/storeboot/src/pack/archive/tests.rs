//! Files that a member cannot hold, in both ways to cut archives.

use std::fs::{self, File};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;

use storeboot_cache::Cache;
use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use storeboot_cpio::Reader;
use storeboot_index::{Part, PartedFile};
use tempfile::TempDir;

use super::*;
use crate::compress::{Codec, Compression, SegmentReader, ZstdLevel};
use crate::pack::ArchiveOptions;
use crate::pack::write_archives;
use crate::{Archives, Context, Store};

const PATH: &str = "11111111111111111111111111111111-large";
const OTHER: &str = "22222222222222222222222222222222-other";
const MIB: u64 = 1 << 20;
/// As if newc said no more than this of a member.
const CUT: LargeFiles = LargeFiles::InParts(MIB);

/// Two store paths with large, sparse files.
struct World {
    root: TempDir,
    store: Store,
}

impl World {
    /// One file has this many MiB of data in one place. 0 leaves it out.
    fn new(data: u64) -> Self {
        let root = TempDir::new().expect("a folder");
        let path = |name: &str| root.path().join("nix/store").join(name);
        fs::create_dir_all(path(PATH).join("inner")).expect("a folder");
        let sparse = |name: &str, size: u64, mode: u32| {
            let file = File::create(path(name)).expect("a file");
            file.set_len(size).expect("a sparse file");
            let permissions = fs::Permissions::from_mode(mode);
            file.set_permissions(permissions).expect("permissions");
            file
        };
        sparse(&format!("{PATH}/a"), MIB + 1, 0o644);
        let mut known = "";
        if data > 0 {
            let end = (data + 20) * MIB;
            let file = sparse(&format!("{PATH}/inner/b"), end + 10, 0o755);
            for (text, at) in [("one", 0), ("across", 3 * MIB - 3), ("end", end + 7)] {
                file.write_all_at(text.as_bytes(), at).expect("written");
            }
            for at in 10..10 + data {
                file.write_all_at(&[0xa5; MIB as usize], at * MIB)
                    .expect("written");
            }
            // The hash is not compared with the content.
            known = r#""narSize": 100000000, "narHash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","#;
        }
        sparse(&format!("{PATH}/small"), MIB, 0o644);
        let other = sparse(OTHER, MIB + 1, 0o644);
        other.write_all_at(b"x", MIB).expect("written");
        let info = |name| format!(r#""/nix/store/{name}": {{{known} "references": []}}"#);
        let json = format!("{{{}, {}}}", info(PATH), info(OTHER));
        let closure = read_path_info(json.as_bytes(), &StoreDir::default()).expect("a closure");
        let store =
            Store::new(closure, StoreRoot::under(root.path()), &Context::new()).expect("a store");
        Self { root, store }
    }

    fn pack(
        &self,
        archives: Archives,
        large_files: LargeFiles,
        jobs: usize,
        cache: Option<&Arc<Cache>>,
    ) -> (Vec<u8>, Extent) {
        let jobs = NonZeroUsize::new(jobs).expect("at least one");
        let mut context = Context::new().jobs(jobs).without_nar_check();
        if let Some(cache) = cache {
            context = context.cache(Arc::clone(cache));
        }
        let mut out = Vec::new();
        let options = ArchiveOptions {
            folder: self.store.folder(),
            large_files,
            compression: Compression::Zstd(ZstdLevel::MIN),
            scratch: self.root.path(),
            context: &context,
        };
        let extent = write_archives(&self.store, archives, &options, &mut out);
        (out, extent.expect("packed"))
    }
}

/// Name, permissions, size, and the content if it is a list.
type Member = (String, u32, u64, String);

/// The members of archives one behind the other.
fn members(mut archives: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    while let Some(start) = archives.iter().position(|&byte| byte != 0) {
        archives = &archives[start..];
        let codec = Codec::detect(archives).expect("it is packed");
        let mut unpacked = SegmentReader::new(&mut archives, codec).expect("zstd");
        let mut reader = Reader::new(&mut unpacked);
        while let Some(mut entry) = reader.next_entry().expect("an archive") {
            let name = String::from_utf8(entry.name().to_vec()).expect("text");
            let header = *entry.header();
            let mut list = String::new();
            if name.ends_with("/list") {
                entry.read_to_string(&mut list).expect("text");
            }
            members.push((name, header.permissions(), header.size.into(), list));
        }
        std::io::copy(&mut unpacked, &mut std::io::sink()).expect("the rest");
    }
    members
}

#[test]
fn a_large_file_is_an_empty_one_a_list_and_its_data() {
    // More than a part holds.
    let world = World::new(65);
    let (solid, extent) = world.pack(Archives::Solid, CUT, 2, None);
    let (archives, other) = world.pack(Archives::PerPath, CUT, 2, None);
    let (solid, archives) = (members(&solid), members(&archives));
    // All but the folders of all parts, which each archive has anew.
    let rest = |members: &[Member]| -> Vec<Member> {
        let outer = |name: &str| matches!(name, "storeboot" | "storeboot/parts");
        let rest = members.iter().filter(|(name, ..)| !outer(name));
        rest.cloned().collect()
    };
    assert_eq!(rest(&solid), rest(&archives));

    let find = |name: &str| {
        let members = solid.iter().enumerate();
        let found: Vec<_> = members.filter(|(_, member)| member.0 == name).collect();
        let [(at, (_, mode, size, list))] = found[..] else {
            panic!("{name}: {solid:?}");
        };
        (at, *mode, *size, list.as_str())
    };
    let (placed, mode, size, _) = find(&format!("nix/store/{PATH}/inner/b"));
    assert_eq!((mode, size), (0o200, 0));
    assert_eq!(find(&format!("nix/store/{PATH}/small")).2, MIB);
    let folder = format!("storeboot/parts/{PATH}-1");
    let (made, mode, ..) = find(&folder);
    assert_eq!(mode, 0o755);
    let (listed, _, _, list) = find(&format!("{folder}/list"));
    assert!(placed < made && made < listed);
    let part = |offset, size| Part { offset, size };
    let expected = PartedFile {
        path: format!("{PATH}/inner/b").into_bytes(),
        executable: true,
        size: 85 * MIB + 10,
        parts: vec![
            part(0, MIB),
            part(2 * MIB, 2 * MIB),
            part(10 * MIB, 64 * MIB),
            part(74 * MIB, MIB),
            part(85 * MIB, 10),
        ],
    };
    assert_eq!(PartedFile::parse(list.as_bytes()), Ok(expected.clone()));
    for (number, part) in expected.parts.iter().enumerate() {
        assert_eq!(find(&format!("{folder}/{number}")).2, part.size);
    }
    let last = part(MIB, 1);
    for (folder, path, parts) in [
        (PATH, format!("{PATH}/a"), vec![]),
        (OTHER, OTHER.into(), vec![last]),
    ] {
        let (.., list) = find(&format!("storeboot/parts/{folder}-0/list"));
        let file = PartedFile::parse(list.as_bytes()).expect("a list");
        assert_eq!((file.path, file.size), (path.into_bytes(), MIB + 1));
        assert_eq!(file.parts, parts);
    }
    // Only the data counts, and the largest part twice.
    for extent in [extent, other] {
        assert!(extent.pages < 72 * MIB, "{extent:?}");
        assert_eq!(extent.part, 64 * MIB);
    }
}

#[test]
fn neither_threads_nor_the_cache_nor_holes_show() {
    let world = World::new(0);
    let folder = TempDir::new().expect("a folder");
    let cache = Arc::new(Cache::open(folder.path(), 1 << 30).expect("a cache"));
    let first = world.pack(Archives::PerPath, CUT, 1, None);
    // Zeros in the place of a hole.
    let file = world.root.path().join("nix/store").join(PATH).join("a");
    let file = File::options().write(true).open(file).expect("there");
    file.write_all_at(&[0; 3000], 5000).expect("written");
    for (jobs, cache) in [(3, None), (2, Some(&cache)), (1, Some(&cache))] {
        let again = world.pack(Archives::PerPath, CUT, jobs, cache);
        assert!(again == first, "{jobs}");
    }
    assert_eq!(cache.stats().hits, 2);
    // An archive without parts does not take one with parts from the cache.
    let whole = world.pack(Archives::PerPath, LargeFiles::Refused, 1, None);
    assert!(whole != first);
    let cached = world.pack(Archives::PerPath, LargeFiles::Refused, 1, Some(&cache));
    assert!(whole == cached);
}

#[test]
fn a_file_that_has_become_shorter_is_named() {
    let file = tempfile::tempfile().expect("a file");
    let mut sink = ArchiveSink::new(Writer::new(Vec::new()), CUT);
    sink.directories(b"nix/store").expect("directories");
    let file = OpenFile {
        file,
        size: 4 * MIB,
        executable: false,
    };
    let error = sink.file(PATH.as_bytes(), file).unwrap_err().to_string();
    let start = format!("cannot read nix/store/{PATH}");
    assert!(error.starts_with(&start), "{error}");
}
