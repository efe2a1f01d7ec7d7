//! The boot loaders that firmware gets: iPXE, as a distribution installs it.

use std::env;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Platform, regular};

/// A boot loader's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Its name, by which firmware asks for it: that of the file in its folder, with `-` for `/`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The boot loaders of each platform.
#[derive(Clone, Debug, Default)]
pub struct Loaders {
    found: Vec<(Platform, Loader)>,
}

/// The names of iPXE for BIOS, the best first: one that keeps the firmware's network driver, then one with drivers of
/// its own.
const BIOS: [&str; 2] = ["undionly.kpxe", "ipxe.pxe"];
/// The names of iPXE for UEFI, the best first: with drivers of its own, then with the firmware's network driver only.
/// What processor a file is for, it says itself. Debian, nixpkgs, Fedora and Arch each have some of these names.
const UEFI: [&str; 17] = [
    "ipxe.efi",
    "ipxe-x86_64.efi",
    "ipxe-amd64.efi",
    "ipxe-arm64.efi",
    "x86_64-efi/ipxe.efi",
    "x86_64/ipxe.efi",
    "arm64-efi/ipxe.efi",
    "arm64/ipxe.efi",
    "snponly.efi",
    "snp.efi",
    "ipxe-snponly-x86_64.efi",
    "snponly-arm64.efi",
    "x86_64-efi/snponly.efi",
    "x86_64/snponly.efi",
    "arm64-efi/snponly.efi",
    "arm64/snponly.efi",
    "arm64-efi/snp.efi",
];

impl Loaders {
    /// Where distributions put iPXE: Debian in `/usr/lib/ipxe`, Fedora and Arch in `/usr/share/ipxe`, and nixpkgs at the
    /// top of a Nix profile.
    pub fn places() -> Vec<PathBuf> {
        let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".nix-profile"));
        let fixed = [
            "/usr/lib/ipxe",
            "/usr/share/ipxe",
            "/nix/var/nix/profiles/default",
        ];
        fixed.map(PathBuf::from).into_iter().chain(home).collect()
    }

    /// Looks for iPXE's files in folders, in their order.
    pub fn find(folders: &[&Path]) -> Self {
        let mut found: Vec<(Platform, Loader)> = Vec::new();
        for folder in folders {
            let bios = BIOS.iter().map(|name| (*name, Some(Platform::Bios)));
            for (name, platform) in bios.chain(UEFI.iter().map(|name| (*name, None))) {
                let path = folder.join(name);
                if !path.is_file() {
                    continue;
                }
                let Some(platform) = platform.or_else(|| processor(&path)) else {
                    continue;
                };
                let name = name.replace('/', "-");
                // The folder that comes first has the say.
                if !found.iter().any(|(_, loader)| loader.name == name) {
                    found.push((platform, Loader { name, path }));
                }
            }
        }
        Self { found }
    }

    /// The loader of a platform.
    pub fn of(&self, platform: Platform) -> Option<&Loader> {
        let mut found = self.found.iter();
        found
            .find(|(known, _)| *known == platform)
            .map(|(_, loader)| loader)
    }

    /// The loader with this name: one that [`Self::of`] names, or another that is in the same folder.
    pub fn named(&self, name: &str) -> Option<&Loader> {
        let mut found = self.found.iter();
        found
            .find(|(_, loader)| loader.name == name)
            .map(|(_, loader)| loader)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Why a machine of this platform cannot boot without a loader.
    pub(crate) fn lacks(platform: Platform) -> String {
        let what = match platform {
            Platform::Bios => "undionly.kpxe",
            Platform::UefiX64 => "ipxe.efi for x86-64",
            Platform::UefiArm64 => "ipxe.efi for arm64",
        };
        format!("there is no iPXE for {platform}: install {what} and name its folder with --ipxe")
    }
}

/// The platform of a program for UEFI, by the number in the head of its PE file.
fn processor(path: &Path) -> Option<Platform> {
    let file = regular::open(path).ok()?;
    let mut offset = [0; 4];
    file.read_exact_at(&mut offset, 0x3c).ok()?;
    let mut head = [0; 6];
    file.read_exact_at(&mut head, u32::from_le_bytes(offset).into())
        .ok()?;
    match head {
        [b'P', b'E', 0, 0, 0x64, 0x86] => Some(Platform::UefiX64),
        [b'P', b'E', 0, 0, 0x64, 0xaa] => Some(Platform::UefiArm64),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;

    /// The beginning of a program for UEFI, for the processor with this number.
    pub(crate) fn program(machine: u16) -> Vec<u8> {
        let mut bytes = vec![0; 0x100];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
        bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    #[test]
    fn a_file_is_for_the_processor_that_it_names() {
        let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let write = |folder: &Path, name: &str, bytes: &[u8]| {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), bytes).unwrap();
        };
        // nixpkgs on arm64, and Debian with both.
        write(first.path(), "ipxe.efi", &program(0xaa64));
        write(second.path(), "ipxe.efi", b"no program");
        write(second.path(), "snponly.efi", &program(0x8664));
        write(second.path(), "arm64-efi/snponly.efi", &program(0xaa64));
        write(second.path(), "undionly.kpxe", b"any bytes");
        let loaders = Loaders::find(&[first.path(), second.path()]);
        let name = |platform| loaders.of(platform).map(|loader| loader.name.as_str());
        assert_eq!(name(Platform::Bios), Some("undionly.kpxe"));
        assert_eq!(name(Platform::UefiX64), Some("snponly.efi"));
        assert_eq!(name(Platform::UefiArm64), Some("ipxe.efi"));
        let other = loaders.named("arm64-efi-snponly.efi").unwrap();
        assert_eq!(other.path, second.path().join("arm64-efi/snponly.efi"));
        assert!(loaders.named("../ipxe.efi").is_none());
        assert!(Loaders::find(&[]).is_empty());
    }
}
