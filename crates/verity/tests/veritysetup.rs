//! The real veritysetup makes the same trees, and accepts ours.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use data_encoding::HEXLOWER;
use storeboot_verity::{BLOCK, Shape, TreeWriter};

/// Whether veritysetup is here. Where not, the test says that it is skipped; in CI it fails.
fn have_veritysetup() -> bool {
    if Command::new("veritysetup")
        .arg("--version")
        .output()
        .is_ok()
    {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI must have veritysetup: scripts/install-deps installs it"
    );
    // Not `eprintln!`: the harness hides that where a test passes.
    let _ = std::io::stderr().write_all(b"\nSKIPPED: veritysetup is missing\n");
    false
}

/// Data in which no block is like another.
fn data(blocks: usize) -> Vec<u8> {
    let mut data = vec![0x5a; blocks * BLOCK];
    for (number, block) in data.chunks_mut(BLOCK).enumerate() {
        block[..8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    data
}

/// Runs veritysetup for a file that has the data and, behind it, the tree.
fn veritysetup(action: &str, file: &Path, blocks: usize, salt: &[u8], root: &[&str]) -> Output {
    let salt = match salt {
        [] => "-".into(),
        salt => HEXLOWER.encode(salt),
    };
    Command::new("veritysetup")
        .arg(action)
        .args([file, file])
        .args(root)
        .args(["--no-superblock", "--format=1", "--hash=sha256"])
        .args(["--data-block-size=4096", "--hash-block-size=4096"])
        .arg(format!("--data-blocks={blocks}"))
        .arg(format!("--hash-offset={}", blocks * BLOCK))
        .arg(format!("--salt={salt}"))
        .output()
        .expect("veritysetup runs")
}

/// Writes the data and its tree, and returns the root hash.
fn write(file: &Path, data: &[u8], salt: &[u8]) -> String {
    fs::write(file, data).expect("a file");
    let shape = Shape::of(data.len() as u64).expect("whole blocks");
    let out = OpenOptions::new().write(true).open(file).expect("a file");
    let mut writer = TreeWriter::new(shape, salt, out, data.len() as u64).expect("a tree");
    writer.write_all(data).expect("the disk takes it");
    HEXLOWER.encode(&writer.finish().expect("all data"))
}

#[test]
fn veritysetup_makes_the_same_tree_and_accepts_ours() {
    if !have_veritysetup() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let long = [0xc3; 256];
    let salts: [&[u8]; 3] = [b"", &[0xa5; 32], &long];
    for (blocks, salt) in [2, 127, 128, 129, 16_384, 16_385]
        .into_iter()
        .zip(salts.into_iter().cycle())
    {
        let data = data(blocks);
        let root = write(&ours, &data, salt);
        let accepted = veritysetup("verify", &ours, blocks, salt, &[&root]);
        let said = String::from_utf8_lossy(&accepted.stderr);
        assert!(accepted.status.success(), "{blocks} blocks: {said}");

        fs::write(&theirs, &data).expect("a file");
        let made = veritysetup("format", &theirs, blocks, salt, &[]);
        let said = String::from_utf8_lossy(&made.stdout);
        assert!(made.status.success(), "{blocks} blocks: {made:?}");
        assert!(said.contains(&root), "{blocks} blocks: {root}, not {said}");
        let (ours, theirs) = (fs::read(&ours), fs::read(&theirs));
        assert!(
            ours.expect("a file") == theirs.expect("a file"),
            "{blocks} blocks"
        );
    }
}

#[test]
fn veritysetup_refuses_a_changed_byte_of_data_and_of_tree() {
    if !have_veritysetup() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("image");
    let (blocks, salt) = (300, [7; 32]);
    let root = write(&file, &data(blocks), &salt);
    let whole = fs::read(&file).expect("a file");
    for at in [0, 4096 * 150 + 9, 4096 * 300 + 1, 4096 * 301 + 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).expect("a file");
        let refused = veritysetup("verify", &file, blocks, &salt, &[&root]);
        assert!(!refused.status.success(), "byte {at}");
    }
    fs::write(&file, &whole).expect("a file");
    let accepted = veritysetup("verify", &file, blocks, &salt, &[&root]);
    assert!(accepted.status.success(), "{accepted:?}");
}
