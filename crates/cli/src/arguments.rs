//! The command line, as clap reads it and prints its help.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use storeboot::{Archives, Compression, Format, Layout};

/// Boots a NixOS system over the network, with its whole Nix store in the initrd.
///
/// Packs the closure of a system into an initrd and makes a netboot directory of it: a kernel, an initrd, a command line,
/// and scripts for iPXE and kexec.
#[derive(Debug, Parser)]
#[command(
    name = "storeboot",
    version,
    propagate_version = true,
    after_help = "\
Examples:
    storeboot build --root ./result --kernel ./result/kernel --modules ./result/kernel-modules \\
      --init \"$(readlink -f ./result)/init\" --output netboot
    storeboot verify netboot
    storeboot help build"
)]
pub struct Arguments {
    /// Says nothing but errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a netboot directory from a closure and a kernel.
    #[command(after_help = "\
Examples:
  A NixOS system that was built to ./result:
    storeboot build --root ./result --kernel ./result/kernel --modules ./result/kernel-modules \\
      --init \"$(readlink -f ./result)/init\" --cmdline \"console=ttyS0\" --output netboot
  From what Nix said of a closure, its files under /mnt:
    nix path-info --json --recursive --store /mnt \"$system\" > closure.json
    storeboot build --path-info closure.json --store-root /mnt --kernel bzImage \\
      --init \"$system/init\" --output netboot")]
    Build(Box<Build>),
    /// Packs a closure into one file: a store image or an archive.
    #[command(after_help = "\
Examples:
    storeboot pack --root ./result --format squashfs --compression zstd:19 --output store.squashfs
    storeboot pack --closure-info ./info --format cpio --compression zstd:10 --output store.cpio.zst")]
    Pack(Pack),
    /// Packs the part of a closure that lies in no layer below: build puts it into an initrd without packing it again.
    #[command(after_help = "\
Examples:
  The kernel and its modules change seldom, the system often:
    storeboot layer --root ./result/kernel ./result/kernel-modules --output kernel.layer
    storeboot layer --root ./base-system --below kernel.layer --output base.layer
    storeboot build --root ./result --layer kernel.layer --layer base.layer --kernel ./result/kernel \\
      --modules ./result/kernel-modules --init \"$(readlink -f ./result)/init\" --output netboot")]
    Layer(Layer),
    /// Shows what is in a netboot directory, an initrd, a layer or a store image.
    #[command(after_help = "\
Examples:
    storeboot inspect netboot
    storeboot inspect --json netboot/initrd")]
    Inspect(Inspect),
    /// Checks a netboot directory against its manifest, store images against their registration, a layer against its
    /// description.
    #[command(after_help = "\
Examples:
    storeboot verify netboot
    storeboot verify store.squashfs")]
    Verify(Verify),
    /// Runs as a derivation's builder: reads structured attributes, writes the output.
    #[command(after_help = "\
Examples:
  In a derivation:
    builder = \"${storeboot}/bin/storeboot\";
    args = [ \"nix-builder\" ];
    __structuredAttrs = true;
    exportReferencesGraph.closure = [ system ];
    storeboot = { action = \"build\"; kernel = \"${system}/kernel\"; init = \"${system}/init\"; };")]
    NixBuilder(NixBuilder),
    /// Writes the manual pages into a folder.
    #[command(
        hide = true,
        after_help = "\
Examples:
    storeboot man share/man/man1"
    )]
    Man {
        /// The folder, which exists.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Prints the completions for a shell.
    #[command(
        hide = true,
        after_help = "\
Examples:
    storeboot completions bash > share/bash-completion/completions/storeboot"
    )]
    Completions {
        /// bash, elvish, fish, powershell or zsh.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub input: Input,
    /// The kernel: a bzImage, or an Image for aarch64.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kernel: PathBuf,
    /// An initrd that brings its own stage 1, such as NixOS's, in the place of storeboot's; it loads its own modules, and runs
    /// /storeboot/attach to get at the store.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub initrd: Option<PathBuf>,
    /// The folder with lib/modules in it, from which stage 1 gets loop, squashfs and overlay; left out where the kernel
    /// has them built in.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub modules: Option<PathBuf>,
    /// Another module that stage 1 loads; may be given several times.
    #[arg(long = "module", value_name = "NAME", requires = "modules")]
    pub extra_modules: Vec<String>,
    /// The program that stage 1 starts, a path of the closure.
    #[arg(long, value_name = "PATH")]
    pub init: String,
    /// What else is to be on the kernel's command line.
    #[arg(
        long,
        value_name = "STR",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub cmdline: String,
    /// How the store sits in the initrd: file, in-place or direct. The default is in-place where the kernel is Linux 6.8
    /// or newer, else file.
    #[arg(long)]
    pub layout: Option<Layout>,
    #[command(flatten)]
    pub packing: PackingArguments,
    #[command(flatten)]
    pub archives: ArchiveArguments,
    /// A store image is no larger than this, such as 2G; a larger store becomes several images. The default is 4G, or 2G
    /// where the kernel is older than Linux 6.8.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub image_limit: Option<u64>,
    /// A layer that `storeboot layer` made, the lowest first; may be given several times. What it holds is not packed
    /// again.
    #[arg(long = "layer", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub layers: Vec<PathBuf>,
    /// A file that goes before everything else in the initrd, such as microcode; may be given several times.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub prepend: Vec<PathBuf>,
    /// Writes the initrd's segments as files of their own, too, named by their content, and netboot-segments.ipxe that
    /// loads them: what did not change keeps its name, so that caches and mirrors keep it.
    #[arg(long)]
    pub segments: bool,
    /// Has stage 1 check the store images' SHA-256 before it mounts them, by storeboot.verify on the kernel's command line.
    /// Layout direct has no images.
    #[arg(long)]
    pub verify_at_boot: bool,
    /// Makes the store of the booted system read-only, by storeboot.ro-store on the kernel's command line.
    #[arg(long)]
    pub read_only_store: bool,
    #[command(flatten)]
    pub stage1: Stage1,
    /// The netboot directory to make. One that is there already is replaced when the new one is complete.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Pack {
    #[command(flatten)]
    pub input: Input,
    /// What to make: squashfs or cpio.
    #[arg(long)]
    pub format: Format,
    #[command(flatten)]
    pub packing: PackingArguments,
    #[command(flatten)]
    pub archives: ArchiveArguments,
    /// The file to make. One that is there already is replaced when the new one is complete.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Layer {
    #[command(flatten)]
    pub input: Input,
    /// A layer below, whose store paths are left out; may be given several times.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub below: Vec<PathBuf>,
    #[command(flatten)]
    pub packing: PackingArguments,
    /// An image of the layer is no larger than this, such as 1G; a larger layer becomes several images.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "2G")]
    pub image_limit: u64,
    /// The layer to make, a folder. One that is there already is replaced when the new one is complete.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

/// What `build`, `pack` and `layer` have in common.
#[derive(Debug, Args)]
pub struct PackingArguments {
    /// zstd[:1-22], xz[:0-9], gzip[:1-9], lz4[:1-12] or none. The default is zstd:19 for store images, zstd:10 for layout
    /// direct (zstd:9 with --archives per-path), none for pack --format cpio.
    #[arg(long, value_name = "NAME[:LEVEL]")]
    pub compression: Option<Compression>,
    /// Size of a store image's blocks: 4K to 1M, a power of two.
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = block_size)]
    pub block_size: u32,
    /// Threads that compress. The output is the same for any number.
    #[arg(
        long,
        short,
        value_name = "N",
        help = "Threads that compress; the default is one for each processor. The output is the same for any number"
    )]
    pub jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub cache: Cache,
}

/// What `build` and `pack` have in common for archives.
#[derive(Debug, Args)]
pub struct ArchiveArguments {
    /// How the archive of layout direct and of pack --format cpio is cut: solid, one for all; or per-path, one for each
    /// store path, of which --cache keeps those that did not change.
    #[arg(long, value_name = "FORM", default_value_t)]
    pub archives: Archives,
}

/// The cache of what was packed before.
#[derive(Debug, Args)]
pub struct Cache {
    /// A folder that keeps what was packed, for any other output, and any number of builds at the same time. It has to be empty,
    /// new, or a cache of storeboot. The output is the same with and without it.
    #[arg(long = "cache", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// What the folder holds at most after a build; what was used longest ago goes first.
    #[arg(long = "cache-size", value_name = "BYTES", default_value = "10G", value_parser = bytes, requires = "folder")]
    pub size: u64,
}

/// Where the closure comes from.
#[derive(Debug, Args)]
pub struct Input {
    #[command(flatten)]
    pub source: Source,
    /// The files lie under another root: DIR/nix/store/…
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub store_root: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// Asks Nix for the closure of these paths.
    #[arg(long, value_name = "PATH", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub root: Vec<PathBuf>,
    /// What `nix path-info --json --recursive` printed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub path_info: Option<PathBuf>,
    /// What nixpkgs' closureInfo made.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub closure_info: Option<PathBuf>,
    /// What Nix wrote for exportReferencesGraph, as JSON or as text.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub graph: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Stage1 {
    /// The program storeboot-init; the default is the one beside this command.
    #[arg(long, value_name = "FILE", env = "STOREBOOT_STAGE1", value_hint = ValueHint::FilePath)]
    pub stage1: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// A netboot directory, an initrd, a layer or a store image.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A netboot directory, a layer or a store image.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct NixBuilder {
    #[command(flatten)]
    pub stage1: Stage1,
    /// The file with the structured attributes.
    #[arg(
        long,
        value_name = "FILE",
        env = "NIX_ATTRS_JSON_FILE",
        default_value = ".attrs.json"
    )]
    pub attributes: PathBuf,
    /// Threads; 0 takes all processors.
    #[arg(long, value_name = "N", env = "NIX_BUILD_CORES", default_value_t = 0)]
    pub cores: usize,
}

/// A number of bytes, or of their units K, M and G.
fn bytes(text: &str) -> Result<u64, String> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "write a number of bytes, or one with K, M or G behind it".into())
}

/// Bytes that make a block of a store image.
fn block_size(text: &str) -> Result<u32, String> {
    let size = bytes(text)?;
    if size.is_power_of_two() && (4096..=1 << 20).contains(&size) {
        Ok(size as u32)
    } else {
        Err("write a power of two from 4K to 1M".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn block_sizes_have_units() {
        assert_eq!(block_size("1M"), Ok(1 << 20));
        assert_eq!(block_size("128K"), Ok(128 << 10));
        assert_eq!(block_size("4096"), Ok(4096));
        for text in ["", "M", "2M", "3K", "-4K", "4096M"] {
            assert!(block_size(text).is_err(), "{text}");
        }
    }
}
