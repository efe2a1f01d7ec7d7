//! The boot loaders that firmware gets: iPXE, as a distribution installs it.

use std::path::{Path, PathBuf};

use crate::Platform;

/// A boot loader's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Its name, by which firmware asks for it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The boot loader of each platform.
#[derive(Clone, Debug, Default)]
pub struct Loaders {
    found: Vec<(Platform, Loader)>,
}

/// The names of iPXE's files, the best first.
const NAMES: [(Platform, &[&str]); 3] = [
    (Platform::Bios, &["undionly.kpxe", "ipxe.pxe"]),
    (Platform::UefiX64, &["ipxe.efi", "snponly.efi"]),
    (
        Platform::UefiArm64,
        &["ipxe-arm64.efi", "arm64-efi/ipxe.efi", "snponly-arm64.efi"],
    ),
];

impl Loaders {
    /// Where distributions put iPXE: Debian, Fedora, Arch.
    pub const PLACES: [&str; 4] = [
        "/usr/lib/ipxe",
        "/usr/share/ipxe",
        "/usr/share/ipxe/x86_64",
        "/run/current-system/sw/share/ipxe",
    ];

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Looks for iPXE's files in folders, in their order.
    pub fn find(folders: &[&Path]) -> Self {
        let found = NAMES.iter().filter_map(|(platform, names)| {
            let mut paths = folders
                .iter()
                .flat_map(|folder| names.iter().map(|name| folder.join(name)));
            let path = paths.find(|path| path.is_file())?;
            let name = path.file_name()?.to_str()?.to_owned();
            Some((*platform, Loader { name, path }))
        });
        Self {
            found: found.collect(),
        }
    }

    /// The loader of a platform.
    pub fn of(&self, platform: Platform) -> Option<&Loader> {
        let mut found = self.found.iter();
        found
            .find(|(known, _)| *known == platform)
            .map(|(_, loader)| loader)
    }

    /// The loader with this name.
    pub fn named(&self, name: &str) -> Option<&Loader> {
        let mut found = self.found.iter();
        found
            .find(|(_, loader)| loader.name == name)
            .map(|(_, loader)| loader)
    }
}
