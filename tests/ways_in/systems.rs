//! The netboot directories that all ways boot, and the expected result.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use storeboot_cpio::Metadata;
use storeboot_index::Layout;
use storeboot_tests::http::{Server, Site};
use storeboot_tests::qemu::{Boot, Kernel};
use storeboot_tests::small_system::{SmallSystem, fact};

use crate::archive::Archive;

/// Returns the system, or None if machines cannot be run.
pub fn system() -> Option<&'static SmallSystem> {
    static SYSTEM: OnceLock<Option<SmallSystem>> = OnceLock::new();
    let make = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ways-in");
        Some(SmallSystem::in_folder(&folder, Kernel::debian("6.12")?))
    };
    SYSTEM.get_or_init(make).as_ref()
}

/// Returns the system's netboot directory with segment files. Builds one for each layout, and shares it among the
/// tests.
pub fn netboot(system: &SmallSystem, layout: Layout) -> &'static Path {
    static FOLDERS: [OnceLock<PathBuf>; 4] = [const { OnceLock::new() }; 4];
    let build = || system.build(&layout.to_string(), layout, &["--segments".as_ref()]);
    FOLDERS[layout as usize].get_or_init(build)
}

/// The same with words on the command line that mean something to some boot loaders.
pub fn netboot_with_odd_words(system: &SmallSystem, layout: Layout) -> &'static Path {
    const WORDS: &str = r##"dollar=$ }{ brace=${ #hash && || ; "blanks=a  b" back\ quote='"##;
    static FOLDERS: [OnceLock<PathBuf>; 4] = [const { OnceLock::new() }; 4];
    let build = || system.build_with_words(&format!("{layout}-odd"), layout, WORDS, &[]);
    FOLDERS[layout as usize].get_or_init(build)
}

/// The text of a file of a netboot directory, without the line feed at its end.
pub fn text(netboot: &Path, name: &str) -> String {
    let path = netboot.join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.trim_end().to_owned()
}

/// Returns the command line of a netboot directory, with an argument that names the way to boot, and with what its layout
/// needs to be told.
pub fn command_line(netboot: &Path, layout: Layout, way: &str) -> String {
    let store = match layout {
        Layout::Fetch => format!(" storeboot.store={}", store_url(netboot)),
        _ => String::new(),
    };
    format!("{} way={way}{store}", text(netboot, "kernelAppend"))
}

/// Returns the URL from which machines fetch the store images of a netboot directory.
pub fn store_url(netboot: &Path) -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let folder = netboot.parent().expect("it is in a folder with others");
    let server = SERVER.get_or_init(|| Site::of(folder).serve());
    let name = netboot.file_name().and_then(|name| name.to_str());
    server.url(name.expect("a name in text"))
}

/// Checks that the machine booted the system, that its command line is complete, and, with layout in-place, that the
/// image is at the expected offset. The argument `way=`, which only the loader's configuration holds, shows that this
/// way was used; the names that loaders print are no evidence, since escape sequences may split them.
pub fn arrived(system: &SmallSystem, boot: &Boot, layout: Layout, way: &str) {
    arrived_from(netboot(system, layout), system, boot, layout, way);
}

/// The same for another netboot directory of the system.
pub fn arrived_from(netboot: &Path, system: &SmallSystem, boot: &Boot, layout: Layout, way: &str) {
    system.is_booted(boot, layout);
    let line = fact(boot, "command line");
    assert!(line.contains(&text(netboot, "kernelAppend")), "{boot}");
    let words: Vec<&str> = line.split(' ').collect();
    assert!(words.contains(&&*format!("way={way}")), "{boot}");
    let expected = boot.console.contains("of the initrd, as expected");
    assert_eq!(expected, layout == Layout::InPlace, "{boot}");
}

/// Makes a user's own archive, with an SSH key.
pub fn keys() -> Vec<u8> {
    let mut archive = Archive::new();
    let private = Metadata::mode(0o600);
    archive.file(
        "root/.ssh/authorized_keys",
        &private,
        b"ssh-ed25519 AAAA me\n",
    );
    archive.finish()
}

/// Checks that the key is there.
pub fn has_keys(boot: &Boot) {
    let key = fact(boot, "file /root/.ssh/authorized_keys");
    assert!(key.starts_with("regular file 600 0:0 "), "{boot}");
}

/// Makes a new folder for one test.
pub fn scratch(way: &str, layout: Layout) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ways-in-{way}-{layout}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

/// Copies or links files of a netboot directory to a folder.
pub fn place(netboot: &Path, names: &[&str], folder: &Path) {
    for name in names {
        fs::copy(netboot.join(name), folder.join(name)).expect("a copy");
    }
}
