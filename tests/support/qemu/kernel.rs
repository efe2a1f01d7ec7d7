//! Debian's kernels.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Architecture, available};
use crate::debian::repository;

/// The meta package of the kernel for virtual machines.
const CLOUD: &str = "linux-image-cloud";

/// A Debian kernel, with its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    architecture: Architecture,
    image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// The kernel for virtual machines of the given series, see [`Self::debian_for`].
    ///
    /// # Panics
    /// When it cannot be downloaded, or `CI` is set and machines cannot be run.
    #[must_use]
    pub fn debian(series: &str) -> Option<Self> {
        Self::debian_for(Architecture::X86_64, series)
    }

    /// The kernel for all machines of the given series, which has drivers that [`Self::debian`]'s lacks.
    ///
    /// # Panics
    /// When it cannot be downloaded, or `CI` is set and machines cannot be run.
    #[must_use]
    pub fn debian_with_all_drivers(series: &str) -> Option<Self> {
        Self::of_package(Architecture::X86_64, series, "linux-image")
    }

    /// The kernel for virtual machines of the given series: `6.1` is bookworm's, `6.12` bookworm-backports'. It is
    /// downloaded once and stays under `target/`. None when machines cannot be run here, see [`available`].
    ///
    /// # Panics
    /// When it cannot be downloaded, or `CI` is set and machines cannot be run.
    #[must_use]
    pub fn debian_for(architecture: Architecture, series: &str) -> Option<Self> {
        Self::of_package(architecture, series, CLOUD)
    }

    /// The kernel that the meta package of this name, without the architecture, stands for.
    fn of_package(architecture: Architecture, series: &str, package: &str) -> Option<Self> {
        if !available(architecture) {
            return None;
        }
        let cache = repository().join("target/kernels");
        fs::create_dir_all(&cache).expect("target can be written to");
        let mut place = series.to_owned();
        if architecture != Architecture::X86_64 {
            place.push_str(&format!("-{}", architecture.debian()));
        }
        if package != CLOUD {
            place.push_str("-all-drivers");
        }
        // Tests run at the same time, and all of them want the same few kernels.
        let lock = File::create(cache.join(format!("{place}.lock")))
            .expect("a lock file in target/kernels");
        lock.lock().expect("the lock file in target/kernels");
        let folder = cache.join(place);
        if !folder.exists() {
            download(architecture, series, package, &folder);
        }
        let release = only_entry(&folder.join("lib/modules"));
        let name = release
            .file_name()
            .expect("a folder has a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            name.starts_with(&format!("{series}.")),
            "Debian's kernel is not {series} any more: {name}"
        );
        Some(Self {
            architecture,
            image: folder.join(format!("boot/vmlinuz-{name}")),
            modules: release,
        })
    }

    /// The processor that it is for.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The kernel itself.
    #[must_use]
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The folder with its modules, such as `lib/modules/6.12.95+deb12-cloud-amd64`. It has no `modules.dep`.
    #[must_use]
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// The folder that holds `lib/modules`, as `storeboot build --modules` takes it.
    ///
    /// # Panics
    /// Never: the modules are in such a folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.modules
            .ancestors()
            .nth(3)
            .expect("lib/modules/RELEASE is in a folder")
    }

    /// A module of the kernel, decompressed.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    pub fn module(&self, name: &str) -> Vec<u8> {
        let file =
            find(&self.modules.join("kernel"), name).unwrap_or_else(|| panic!("no module {name}"));
        let decompress = |tool: &str| {
            let output = Command::new(tool).arg("-dc").arg(&file).output();
            let output = output.unwrap_or_else(|error| panic!("cannot run {tool}: {error}"));
            assert!(output.status.success(), "{tool} cannot decompress {file:?}");
            output.stdout
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => decompress("xz"),
            Some("zst") => decompress("zstd"),
            _ => fs::read(&file).expect("a module can be read"),
        }
    }
}

/// Takes the kernel that the suite's meta package names and unpacks it.
fn download(architecture: Architecture, series: &str, package: &str, folder: &Path) {
    let suite = match series {
        "6.1" => "bookworm",
        "6.12" => "bookworm-backports",
        _ => panic!("no suite is known that has Linux {series}"),
    };
    let sources = match architecture {
        Architecture::X86_64 => suite.to_owned(),
        other => format!("{suite}:{}", other.debian()),
    };
    let work = PathBuf::from(format!("{}.new", folder.display()));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).expect("target/kernels can be written to");
    let apt = repository().join("scripts/apt-suite");
    let apt = |arguments: &[&str]| {
        printed(
            Command::new(&apt)
                .arg(&sources)
                .args(arguments)
                .current_dir(&work),
        )
    };

    let meta = format!("{package}-{}/{suite}", architecture.debian());
    let facts = apt(&["apt-cache", "show", "--no-all-versions", &meta]);
    let package = facts
        .lines()
        .find_map(|line| line.strip_prefix("Depends: ")?.split([' ', ',']).next());
    let package = package.unwrap_or_else(|| panic!("{meta} names no kernel: {facts}"));
    apt(&["apt-get", "-q", "download", package]);
    printed(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(only_entry(&work))
            .arg(work.join("root")),
    );
    // Only what is whole gets the name that is looked for.
    fs::rename(work.join("root"), folder).expect("target/kernels can be written to");
    let _ = fs::remove_dir_all(&work);
}

/// Runs a command and returns what it printed.
fn printed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The one entry of a folder.
fn only_entry(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let entry = entries
        .next()
        .unwrap_or_else(|| panic!("{folder:?} is empty"))
        .expect("a folder can be read");
    assert!(
        entries.next().is_none(),
        "{folder:?} has more than one entry"
    );
    entry.path()
}

/// The file of a module somewhere in a folder, whatever it is compressed with.
fn find(folder: &Path, module: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries
        .map(|entry| entry.expect("a folder can be read").path())
        .find_map(|path| {
            if path.is_dir() {
                return find(&path, module);
            }
            let (name, rest) = path.file_name()?.to_str()?.split_once('.')?;
            (name == module && rest.starts_with("ko")).then_some(path)
        })
}
