//! Why something cannot be served. Each error is one sentence.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Why something cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Read {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("{} cannot be written: {cause}", path.display())]
    Write {
        /// What cannot be written.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The folder for what is built is that of another server.
    #[error("another server uses {}: give each server a folder of its own", .0.display())]
    InUse(PathBuf),
    /// Others can write to the folder for what is built, or it cannot be looked at.
    #[error(transparent)]
    Folder(storeboot::cache::Error),
    /// The flake's name is not just that of a flake.
    #[error("{0:?} is no flake: leave out # and what follows")]
    Flake(String),
    /// The URL of a Hydra server is not just that of a server.
    #[error(
        "{0:?} is no Hydra server: give https:// and the name of its host, such as https://hydra.example.org"
    )]
    Hydra(String),
    /// A rule names what the server does not build.
    #[error("{what} cannot be built: {reason}")]
    NotBuilt {
        /// What the rule names.
        what: String,
        /// Why.
        reason: String,
    },
    /// A store path cannot be booted.
    #[error("{} is neither a NixOS system nor a netboot directory: it has no init and kernel, and no manifest.json", .0.display())]
    NoSystem(PathBuf),
    /// A folder is no netboot directory.
    #[error("{} is no netboot directory: give a folder that `storeboot build` wrote", .0.display())]
    NoDirectory(PathBuf),
    /// A file is not as the manifest says.
    #[error("{} is not as manifest.json says: {reason}; build the directory again", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The kernel has no random numbers.
    #[error("the kernel has no random numbers: {0}")]
    Random(io::Error),
    /// A rules file is not understood.
    #[error("{}, line {line}: {reason}", path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, with the key.
        reason: String,
    },
    /// A port cannot be opened.
    #[error("port {port} of {place} cannot be opened for {what}: {cause}")]
    Port {
        /// What it is for.
        what: &'static str,
        /// The port.
        port: u16,
        /// The address or the interface.
        place: String,
        /// Why.
        cause: io::Error,
    },
    /// Machines learn of the server by IPv4, and HTTP does not listen there.
    #[error(
        "HTTP listens at {0} only, and what DHCP and TFTP tell machines is an address of IPv4: listen at one, too, or do \
         without both (--dhcp off --tftp off)"
    )]
    OnlyIpv6(IpAddr),
    /// A network interface cannot be used.
    #[error("{0}")]
    Interface(String),
    /// TFTP has failed.
    #[error("TFTP has failed: {0}")]
    Tftp(io::Error),
    /// There is no boot loader.
    #[error(
        "there is no iPXE in {}: install it (Debian: apt install ipxe; Nix: nix profile install nixpkgs#ipxe), or name \
         the folder that has undionly.kpxe and ipxe.efi with --ipxe",
        .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoLoader(Vec<PathBuf>),
    /// Neither a directory nor rules were named.
    #[error("there is nothing to serve: name a netboot directory, or a file of rules")]
    NothingToServe,
    /// What is built here cannot be signed.
    #[error(
        "what is built when a machine asks is not signed: leave out --public-key, or serve directories that are signed"
    )]
    UnsignedBuilds,
    /// The library cannot do its part.
    #[error(transparent)]
    Storeboot(#[from] storeboot::Error),
}

impl Error {
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| Self::Write {
            path: path.into(),
            cause,
        }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| Self::Read {
            path: path.into(),
            cause,
        }
    }
}

/// An error and its causes, in one line.
pub(crate) fn sentence(error: &dyn std::error::Error) -> String {
    let mut sentence = String::new();
    for error in std::iter::successors(Some(error), |error| error.source()) {
        let text: Vec<String> = error
            .to_string()
            .split_whitespace()
            .map(Into::into)
            .collect();
        let text = text.join(" ");
        // Some texts have their cause in them.
        if !sentence.ends_with(&text) {
            let colon = if sentence.is_empty() { "" } else { ": " };
            sentence = sentence + colon + &text;
        }
    }
    sentence
}
