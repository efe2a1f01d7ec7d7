use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A tree as sysfs, and one as `/dev`.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for folder in ["class/block", "devices", "dev"] {
            fs::create_dir_all(machine.0.path().join(folder)).unwrap();
        }
        machine
    }

    fn path(&self, path: &str) -> String {
        self.0.path().join(path).to_str().unwrap().into()
    }

    /// A block device with these bytes, in a folder below `devices`.
    fn device(&self, place: &str, content: &[u8], files: &[(&str, &str)]) {
        let name = Path::new(place).file_name().unwrap().to_str().unwrap();
        let folder = self.path(&format!("devices/{place}"));
        fs::create_dir_all(format!("{folder}/queue")).unwrap();
        fs::write(
            format!("{folder}/size"),
            format!("{}\n", content.len() / 512),
        )
        .unwrap();
        for (file, text) in files {
            fs::write(format!("{folder}/{file}"), text).unwrap();
        }
        symlink(
            format!("../../devices/{place}"),
            self.path(&format!("class/block/{name}")),
        )
        .unwrap();
        fs::write(self.path(&format!("dev/{name}")), content).unwrap();
    }

    fn find(&self, word: &str) -> Option<(String, Option<Kind>)> {
        let wanted = Wanted::parse(word).unwrap();
        let found = find_in(&self.path("class/block"), &self.path("dev"), &wanted)?;
        let name = found.path.rsplit('/').next().unwrap().into();
        Some((name, found.filesystem.map(|found| found.kind)))
    }
}

fn xfs(label: &[u8]) -> Vec<u8> {
    let mut disk = std::vec![0; 1 << 20];
    disk[..4].copy_from_slice(b"XFSB");
    disk[32..48].copy_from_slice(&[0xab; 16]);
    disk[108..108 + label.len()].copy_from_slice(label);
    disk
}

#[test]
fn words() {
    for word in ["LABEL=a=b", "UUID=1", "PARTUUID=x-1", "/dev/vda1"] {
        assert_eq!(Wanted::parse(word).unwrap().to_string(), word);
    }
    for word in [
        "", "vda", "LABEL=", "/dev/", "ID=1", "/vda", "label=a", "=x",
    ] {
        assert_eq!(Wanted::parse(word), None, "{word}");
    }
}

#[test]
fn disks_are_found_by_name_and_by_content() {
    let machine = Machine::new();
    let mut disk = std::vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[440..444].copy_from_slice(&[4, 3, 2, 1]);
    machine.device("block/vda", &disk, &[("queue/logical_block_size", "512\n")]);
    let partition = [("partition", "2\n"), ("start", "2048\n")];
    machine.device("block/vda/vda2", &xfs(b"store"), &partition);
    machine.device("block/vdb", &xfs(b"store"), &[]);
    machine.device("block/loop0", &xfs(b"hidden"), &[]);
    let second = || Some(("vda2".into(), Some(Kind::Xfs)));
    assert_eq!(machine.find("LABEL=store"), second());
    assert_eq!(
        machine.find("UUID=ABABABAB-abab-abab-abab-abababababab"),
        second()
    );
    assert_eq!(machine.find("PARTUUID=01020304-02"), second());
    assert_eq!(machine.find("/dev/vda2"), second());
    assert_eq!(machine.find("/dev/vda"), Some(("vda".into(), None)));
    for word in [
        "LABEL=hidden",
        "LABEL=Store",
        "PARTUUID=01020304-01",
        "/dev/vdc",
        "/dev/../dev/vda",
    ] {
        assert_eq!(machine.find(word), None, "{word}");
    }
}

#[test]
fn an_odd_sysfs_does_no_harm() {
    let machine = Machine::new();
    machine.device(
        "block/vda",
        &xfs(b"store"),
        &[("size", "many"), ("partition", "x")],
    );
    machine.device(
        "block/vdb",
        &xfs(b"store"),
        &[("partition", "99999999999"), ("start", "1")],
    );
    fs::remove_file(machine.path("dev/vdb")).unwrap();
    assert_eq!(machine.find("LABEL=store"), None);
    assert_eq!(machine.find("PARTUUID=1-1"), None);
    let wanted = Wanted::Label("store".into());
    assert_eq!(find_in("/no/such/folder", "/dev", &wanted), None);
}
