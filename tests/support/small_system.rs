//! A small system to boot: a store of three paths, the netboot directories that the command builds from it, and the
//! facts that the booted system prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_cpio::{Metadata, Writer};
use storeboot_index::Layout;

use crate::command::{printed, storeboot};
use crate::debian::{busybox, stage1};
use crate::fixture::{Fixture, INIT, Manner, Recipe, SYSTEM, make_removable};
use crate::qemu::{Boot, Kernel, QUIET};

const BUSYBOX: &str = "11111111111111111111111111111111-busybox";
const DATA: &str = "22222222222222222222222222222222-data";

/// Stage 2 writes one fact a line, after this.
const MARK: &str = "STAGE2 ";

/// A store, and a kernel to boot it.
#[derive(Debug)]
pub struct SmallSystem {
    folder: PathBuf,
    store: Fixture,
    data_hash: String,
    /// The kernel.
    pub kernel: Kernel,
}

impl SmallSystem {
    /// Writes the store to a folder, whose old content is removed.
    ///
    /// # Panics
    /// When the folder cannot be written to, or busybox is not installed.
    #[must_use]
    pub fn in_folder(folder: &Path, kernel: Kernel) -> Self {
        Self::with_data(folder, kernel, 2)
    }

    /// The same with so many MiB of data that does not compress.
    ///
    /// # Panics
    /// As [`Self::in_folder`].
    #[must_use]
    pub fn with_data(folder: &Path, kernel: Kernel, mib: u32) -> Self {
        Self::with(folder, kernel, mib, 0)
    }

    /// The same with so many empty files.
    ///
    /// # Panics
    /// As [`Self::in_folder`].
    #[must_use]
    pub fn with_empty_files(folder: &Path, kernel: Kernel, count: u32) -> Self {
        Self::with(folder, kernel, 2, count)
    }

    fn with(folder: &Path, kernel: Kernel, mib: u32, empty_files: u32) -> Self {
        make_removable(folder);
        let _ = fs::remove_dir_all(folder);
        // The bytes differ in every block and do not compress, so that missing bytes are noticed.
        let hashes_in_mib = (1 << 20) / 32;
        let data: Vec<u8> = (0..mib * hashes_in_mib)
            .flat_map(|number| Sha256::digest(number.to_le_bytes()))
            .collect();
        let data_hash = HEXLOWER.encode(&Sha256::digest(&data));
        let mut recipe = Recipe::default();
        let shell = fs::read(busybox(kernel.architecture())).expect("busybox-static is installed");
        recipe.program(format!("{BUSYBOX}/bin/busybox"), shell);
        recipe.file(format!("{DATA}/data"), data);
        for number in 0..empty_files {
            recipe.file(format!("{DATA}/empty/{number}"), "");
        }
        let script = format!(
            "#!/nix/store/{BUSYBOX}/bin/busybox sh\nbusybox=/nix/store/{BUSYBOX}/bin/busybox\n\
             data=/nix/store/{DATA}/data\n{}",
            include_str!("small_system/stage2.sh")
        );
        recipe.program(format!("{SYSTEM}/init"), script);
        Self {
            store: recipe.write(folder, Manner::default()),
            folder: folder.to_owned(),
            data_hash,
            kernel,
        }
    }

    /// Where busybox is in the booted system.
    #[must_use]
    pub fn busybox(&self) -> String {
        format!("/nix/store/{BUSYBOX}/bin/busybox")
    }

    /// The content of the file with data.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        let path = self.store.root.join("nix/store").join(DATA).join("data");
        fs::read(path).expect("a file of the store")
    }

    /// What `nix path-info` would say of the store.
    #[must_use]
    pub fn path_info(&self) -> &Path {
        &self.store.path_info
    }

    /// The folder in which `nix/store` is.
    #[must_use]
    pub fn store_root(&self) -> &Path {
        &self.store.root
    }

    /// Builds a netboot directory of this name with the command and more arguments.
    ///
    /// # Panics
    /// When it fails, with what it said.
    #[must_use]
    pub fn build(&self, name: &str, layout: Layout, arguments: &[&Path]) -> PathBuf {
        self.build_with_words(name, layout, "", arguments)
    }

    /// The same with more words on the kernel's command line.
    ///
    /// # Panics
    /// As [`Self::build`].
    #[must_use]
    pub fn build_with_words(
        &self,
        name: &str,
        layout: Layout,
        words: &str,
        arguments: &[&Path],
    ) -> PathBuf {
        let output = self.folder.join(name);
        let mut command = Command::new(storeboot());
        command
            .args(["--quiet", "build", "--path-info"])
            .arg(&self.store.path_info)
            .arg("--store-root")
            .arg(&self.store.root)
            .arg("--kernel")
            .arg(self.kernel.image())
            .args(["--init", INIT, "--layout", &layout.to_string()])
            // Not every boot loader here can be told to add it.
            .arg("--cmdline")
            .arg(format!(
                "{} {QUIET} storeboot.debug {words}",
                self.kernel.architecture().words()
            ))
            .arg("--stage1")
            .arg(stage1(self.kernel.architecture()))
            .args(arguments);
        if !arguments.contains(&Path::new("--compression")) {
            command.args(["--compression", "zstd:1"]);
        }
        // Another stage 1 brings its own.
        if !arguments.contains(&Path::new("--initrd")) {
            command.arg("--modules").arg(self.kernel.modules());
        }
        command.arg("--output").arg(&output);
        printed(&mut command);
        output
    }

    /// Checks that the machine booted this system in this layout, and that its store is complete.
    ///
    /// # Panics
    /// When it is not so, with everything the machine said.
    pub fn is_booted(&self, boot: &Boot, layout: Layout) {
        assert!(boot.powered_off(), "{boot}");
        assert!(boot.console.contains("STAGE2 end"), "{boot}");
        assert_eq!(fact(boot, "layout"), layout.to_string(), "{boot}");
        assert_eq!(fact(boot, "data"), self.data_hash, "{boot}");
        assert_eq!(fact(boot, "store"), self.store_hash(), "{boot}");
    }

    /// What stage 2 makes of all files in the store, their paths and their content.
    fn store_hash(&self) -> String {
        let mut hash = Sha256::new();
        let store = self.store.root.join("nix/store");
        for name in files_in(&store, "/nix/store") {
            let content = fs::read(self.store.root.join(&name[1..])).expect("a file of the store");
            hash.update(format!(
                "{}  {name}\n",
                HEXLOWER.encode(&Sha256::digest(content))
            ));
        }
        HEXLOWER.encode(&hash.finalize())
    }
}

/// An archive with scripts that stage 2 runs: each is in this folder, `first` for the beginning and `next` for the end.
///
/// # Panics
/// When a folder's name is none.
#[must_use]
pub fn scripts(scripts: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Writer::new(Vec::new());
    for (folder, text) in scripts {
        let made = archive.directory(folder, &Metadata::directory());
        made.expect("a folder");
        let (name, size) = (format!("{folder}/run"), text.len() as u64);
        let file = archive.file(&name, &Metadata::executable(), size, text.as_bytes());
        file.expect("a file");
    }
    archive.finish().expect("an archive in memory")
}

/// The files in a folder and those in it, sorted, under a name of the folder's own.
fn files_in(folder: &Path, name: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the store") {
        let entry = entry.expect("a folder of the store");
        let name = format!("{name}/{}", entry.file_name().to_str().expect("text"));
        match entry.file_type().expect("an entry of the store") {
            kind if kind.is_dir() => files.extend(files_in(&entry.path(), &name)),
            kind if kind.is_file() => files.push(name),
            _ => {}
        }
    }
    files.sort();
    files
}

/// Returns the fact that stage 2 printed under this name, or None if stage 2 did not get that far.
#[must_use]
pub fn said<'a>(boot: &'a Boot, name: &str) -> Option<&'a str> {
    boot.console
        .lines()
        .filter_map(|line| line.split_once(MARK)?.1.split_once(": "))
        .find_map(|(fact, value)| (fact == name).then_some(value.trim()))
}

/// Returns the fact that stage 2 printed under this name.
///
/// # Panics
/// When it said nothing.
#[must_use]
pub fn fact<'a>(boot: &'a Boot, name: &str) -> &'a str {
    said(boot, name).unwrap_or_else(|| panic!("no {name} in {boot}"))
}
