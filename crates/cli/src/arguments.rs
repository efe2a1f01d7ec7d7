//! The command line: what clap reads, and the help texts that it prints.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use storeboot::{Archives, Compression, Format, Layout, PublicKey};

use crate::serve::Serve;

/// Boots a NixOS system over the network, with its whole Nix store in the initrd.
///
/// Packs the closure of a system into an initrd. Writes a netboot directory: the kernel, the initrd, the kernel command
/// line, and scripts for iPXE and kexec.
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
    /// Prints errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Builds a netboot directory from a closure and a kernel.
    #[command(after_help = "\
Examples:
  Build from a NixOS system in ./result:
    storeboot build --root ./result --kernel ./result/kernel --modules ./result/kernel-modules \\
      --init \"$(readlink -f ./result)/init\" --cmdline \"console=ttyS0\" --output netboot
  Build from the output of `nix path-info`, with the store under /mnt:
    nix path-info --json --recursive --store /mnt \"$system\" > closure.json
    storeboot build --path-info closure.json --store-root /mnt --kernel bzImage \\
      --init \"$system/init\" --output netboot")]
    Build(Box<Build>),
    /// Packs a closure into one file: a squashfs store image or a cpio archive.
    #[command(after_help = "\
Examples:
    storeboot pack --root ./result --format squashfs --compression zstd:19 --output store.squashfs
    storeboot pack --closure-info ./info --format cpio --compression zstd:10 --output store.cpio.zst")]
    Pack(Pack),
    /// Packs a part of a closure once, so that several builds can use it.
    ///
    /// A layer holds the store paths of the closure that are in none of the layers below it. `storeboot build --layer`
    /// copies its images into the initrd and does not pack these store paths again.
    #[command(after_help = "\
Examples:
  Pack what changes seldom (kernel, modules, base system) apart from what changes often:
    storeboot layer --root ./result/kernel ./result/kernel-modules --output kernel.layer
    storeboot layer --root ./base-system --below kernel.layer --output base.layer
    storeboot build --root ./result --layer kernel.layer --layer base.layer --kernel ./result/kernel \\
      --modules ./result/kernel-modules --init \"$(readlink -f ./result)/init\" --output netboot")]
    Layer(Layer),
    /// Shows the contents of a netboot directory, an initrd, a layer or a store image.
    #[command(after_help = "\
Examples:
    storeboot inspect netboot
    storeboot inspect --json netboot/initrd")]
    Inspect(Inspect),
    /// Checks a netboot directory, a layer or a store image for damage.
    ///
    /// Compares a netboot directory with its manifest, a layer with its description, and the store paths of store
    /// images with the NAR hashes in their registration.
    #[command(after_help = "\
Examples:
    storeboot verify netboot
    storeboot verify store.squashfs
    storeboot verify netboot --public-key \"$(cat /etc/nix/public-key)\"")]
    Verify(Verify),
    /// Tells how two netboot directories differ: store paths, images and files.
    ///
    /// Takes the store paths from the registration in their stores, and the rest from their manifests. The layouts may
    /// differ. Ends with 0 whether they differ or not.
    #[command(after_help = "\
Examples:
    storeboot compare yesterday today
    storeboot compare --json yesterday today")]
    Compare(Compare),
    /// Signs a netboot directory, with a key that Nix made.
    ///
    /// Compares the files with the manifest, and writes manifest.json.sig. `storeboot verify --public-key` and `storeboot
    /// serve --public-key` check it. Keys that signed before keep their signatures.
    #[command(after_help = "\
Examples:
    nix-store --generate-binary-cache-key site-1 secret-key public-key
    storeboot sign netboot --key-file secret-key
    storeboot verify netboot --public-key \"$(cat public-key)\"")]
    Sign(Sign),
    /// Makes one file of a netboot directory, which UEFI starts and Secure Boot checks: a unified kernel image.
    ///
    /// The file holds the kernel, the initrd and the command line. systemd's stub starts the kernel.
    #[command(after_help = "\
Examples:
    storeboot uki netboot -o machine.efi
    storeboot uki netboot -o machine.efi \\
      --sign-with 'sbsign --key db.key --cert db.crt --output \"$SIGNED\" \"$UNSIGNED\"'")]
    Uki(Uki),
    /// Serves netboot directories to the machines of a network.
    ///
    /// Answers by HTTP, by TFTP, and beside the DHCP server that is there: machines that boot over the network get iPXE,
    /// and then the netboot directory. Runs until it is interrupted. Needs iPXE's files (the package ipxe) and, for the
    /// ports of DHCP and TFTP, root or the capabilities CAP_NET_BIND_SERVICE and CAP_NET_RAW.
    #[command(after_help = "\
Examples:
    storeboot serve netboot
    storeboot serve --rules rules.toml --interface eth1
    storeboot serve --flake .#machine
  Only by HTTP, where another DHCP server names http://ADDRESS:8080/boot.ipxe:
    storeboot serve netboot --dhcp off --tftp off")]
    Serve(Serve),
    /// Runs as the builder of a Nix derivation: reads structured attributes, writes the output.
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
        /// The folder to write to; created if it does not exist.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Prints the completion script for a shell.
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
    /// An initrd with its own stage 1, such as NixOS's, to use instead of storeboot's stage 1. It loads its own modules
    /// and runs /storeboot/attach to reach the store.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub initrd: Option<PathBuf>,
    /// The folder that holds lib/modules. Stage 1 gets the modules loop, squashfs and overlay from it, and with layout
    /// fetch the drivers. Leave this option out if the kernel has all of them built in.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub modules: Option<PathBuf>,
    /// One more module for stage 1 to load. Can be given several times.
    #[arg(long = "module", value_name = "NAME", requires = "modules")]
    pub extra_modules: Vec<String>,
    /// The program that stage 1 starts: a path in the closure, such as /nix/store/…-nixos-system/init.
    #[arg(long, value_name = "PATH")]
    pub init: String,
    /// More arguments for the kernel command line.
    #[arg(
        long,
        value_name = "STR",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub cmdline: String,
    /// How the initrd holds the store: in-place, file or direct; or fetch, where stage 1 fetches the store over HTTP. The
    /// default is in-place for Linux 6.8 and newer, and file for older kernels.
    #[arg(long)]
    pub layout: Option<Layout>,
    #[command(flatten)]
    pub packing: PackingArguments,
    #[command(flatten)]
    pub archives: ArchiveArguments,
    /// The largest size of a store image, such as 2G. A larger store is split into several images. The default is 4G,
    /// and 2G for kernels older than Linux 6.8. Layout fetch has no limit.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub image_limit: Option<u64>,
    /// A layer made by `storeboot layer`, whose store paths are not packed again. Can be given several times, the
    /// lowest layer first.
    #[arg(long = "layer", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub layers: Vec<PathBuf>,
    /// Layout fetch: where stage 1 fetches the store images, an http:// URL of the netboot directory. Several are
    /// mirrors. Without it, netboot.ipxe takes the place that it came from.
    #[arg(long = "store-url", value_name = "URL", value_delimiter = ',')]
    pub store_urls: Vec<String>,
    /// Layout fetch: the drivers of network cards that the initrd has: `all` wired ones, the `common` ones, or modules by
    /// their names [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub network_modules: Vec<String>,
    /// Layout fetch: a folder of firmware, such as /lib/firmware. The initrd gets the files that its drivers name.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub firmware: Option<PathBuf>,
    /// Layout fetch: a disk where stage 1 keeps the store images: LABEL=…, UUID=…, PARTUUID=… or /dev/…. A next boot fetches
    /// only what changed, and the store takes no memory.
    #[arg(long, value_name = "DISK")]
    pub keep: Option<String>,
    /// Layout fetch: the drivers of disks that the initrd has: `all`, the `common` ones, or modules by their names
    /// [default: common with --keep, else none].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub disk_modules: Vec<String>,
    /// A file to put at the start of the initrd, such as microcode. Can be given several times.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub prepend: Vec<PathBuf>,
    /// Also writes each segment of the initrd as a file named by its content, and netboot-segments.ipxe, which loads
    /// them. A segment that did not change keeps its name, so caches and mirrors keep it.
    #[arg(long)]
    pub segments: bool,
    /// Makes netboot.ipxe check a signature of the kernel and of the initrd, FILE.sig beside each file, before it starts
    /// them. Needs an iPXE that has the command imgverify.
    #[arg(long)]
    pub imgverify: bool,
    /// Makes stage 1 check the SHA-256 of each store image before it mounts the image. Adds storeboot.verify to the
    /// kernel command line. Has no effect with layout direct, which has no images.
    #[arg(long)]
    pub verify_at_boot: bool,
    /// Adds a hash tree of dm-verity to each store image. The kernel then checks every block that it reads. Needs a kernel
    /// with dm-verity; takes the modules for it from --modules. Layers need the same option. Not for layout direct.
    #[arg(long)]
    pub verity: bool,
    /// Layout fetch with a boot profile: stage 2 starts as soon as what the profile names is there. Stage 1 fetches the rest
    /// of the store while the system runs. Needs a kernel with nbd and the device mapper; takes the modules for them from
    /// --modules. Not with --initrd, --keep or --verify-at-boot.
    #[arg(long)]
    pub stream: bool,
    /// Makes the store of the booted system read-only. Adds storeboot.ro-store to the kernel command line.
    #[arg(long)]
    pub read_only_store: bool,
    /// Also writes sbom.cdx.json: a software bill of materials of the closure and the kernel, in CycloneDX 1.5.
    #[arg(long)]
    pub sbom: bool,
    #[command(flatten)]
    pub stage1: Stage1,
    /// The netboot directory to write. Replaces an existing one once the new one is complete.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Pack {
    #[command(flatten)]
    pub input: Input,
    /// The format of the output: squashfs or cpio.
    #[arg(long)]
    pub format: Format,
    #[command(flatten)]
    pub packing: PackingArguments,
    #[command(flatten)]
    pub archives: ArchiveArguments,
    /// The file to write. Replaces an existing one once the new one is complete.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Layer {
    #[command(flatten)]
    pub input: Input,
    /// A layer below this one, whose store paths are left out. Can be given several times.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub below: Vec<PathBuf>,
    #[command(flatten)]
    pub packing: PackingArguments,
    /// The largest size of an image, such as 1G. A larger layer is split into several images.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "2G")]
    pub image_limit: u64,
    /// Adds a hash tree of dm-verity to each image, for `storeboot build --verity`. A build without that option ignores it.
    #[arg(long)]
    pub verity: bool,
    /// The folder to write the layer to. Replaces an existing one once the new one is complete.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

/// Options of `build`, `pack` and `layer`.
#[derive(Debug, Args)]
pub struct PackingArguments {
    /// The compression: zstd[:1-22], xz[:0-9], gzip[:1-9], lz4[:1-12] or none. The default is zstd:19 for store images,
    /// zstd:10 for layout direct (zstd:9 with --archives per-path), and none for pack --format cpio.
    #[arg(long, value_name = "NAME[:LEVEL]")]
    pub compression: Option<Compression>,
    /// The block size of store images: a power of two from 4K to 1M.
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = block_size)]
    pub block_size: u32,
    /// A boot profile: the files that a boot reads. Store images hold these files first, in the order of the profile, so
    /// that a boot reads less. A machine records one with storeboot.profile on its kernel command line.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub profile: Option<PathBuf>,
    /// The number of threads. The default is one for each processor. The output does not depend on it.
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub cache: Cache,
    /// Does not compare each store path with its NAR hash. With --cache, paths that are new to the cache are compared all
    /// the same.
    #[arg(long)]
    pub no_check: bool,
}

/// Options of `build` and `pack` for archives.
#[derive(Debug, Args)]
pub struct ArchiveArguments {
    /// How layout direct and pack --format cpio split the closure: solid (one archive for all store paths) or per-path
    /// (one archive for each). With per-path, --cache reuses the archives of store paths that did not change.
    #[arg(long, value_name = "FORM", default_value_t)]
    pub archives: Archives,
}

/// The cache of packed store paths.
#[derive(Debug, Args)]
pub struct Cache {
    /// A cache folder, which makes later builds faster. It must be new, empty, or a cache that storeboot made, and
    /// nobody but you and root may be able to write to it. Several builds can use it at the same time. The output is
    /// the same with and without it.
    #[arg(long = "cache", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// The cache is shared by the group that its folder belongs to. Every member can then decide what is in the outputs
    /// of the others. Only a new or an empty folder becomes such a cache.
    #[arg(long = "cache-shared", requires = "folder")]
    pub shared: bool,
    /// The largest size of the cache after a build. The entries that were used longest ago are removed first.
    #[arg(long = "cache-size", value_name = "BYTES", default_value = "10G", value_parser = bytes, requires = "folder")]
    pub size: u64,
}

/// Where the closure comes from.
#[derive(Debug, Args)]
pub struct Input {
    #[command(flatten)]
    pub source: Source,
    /// The folder that holds nix/store, if it is not the root directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub store_root: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// The store paths to pack, or links to them. Asks Nix for their closure.
    #[arg(long, value_name = "PATH", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub root: Vec<PathBuf>,
    /// A file with the output of `nix path-info --json --recursive`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub path_info: Option<PathBuf>,
    /// The output folder of nixpkgs' closureInfo.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub closure_info: Option<PathBuf>,
    /// A file that Nix wrote for exportReferencesGraph, in JSON or text form.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub graph: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Stage1 {
    /// The program storeboot-init. The default is the one in the folder of this command.
    #[arg(long, value_name = "FILE", env = "STOREBOOT_STAGE1", value_hint = ValueHint::FilePath)]
    pub stage1: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The netboot directory, initrd, layer or store image to show.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The netboot directory, layer or store image to check.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Checks that this key, NAME:BASE64, has signed the netboot directory. Can be given several times: any of them.
    #[arg(long = "public-key", value_name = "KEY", value_delimiter = ' ')]
    pub public_keys: Vec<PublicKey>,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// The netboot directory to sign. It is written to, so it cannot be one in the Nix store.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// The file with the secret key, as `nix-store --generate-binary-cache-key` writes it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Compare {
    /// A netboot directory.
    #[arg(value_hint = ValueHint::DirPath)]
    pub before: PathBuf,
    /// The netboot directory to compare it with.
    #[arg(value_hint = ValueHint::DirPath)]
    pub after: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Uki {
    /// The netboot directory.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// systemd's stub, linuxx64.efi.stub or linuxaa64.efi.stub. The default is where Debian's package systemd-boot-efi has
    /// it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub stub: Option<PathBuf>,
    /// An os-release file, whose PRETTY_NAME boot menus show. The default has the name of the system's store path.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub os_release: Option<PathBuf>,
    /// More arguments for the kernel command line, such as storeboot.store=URL for layout fetch.
    #[arg(
        long,
        value_name = "STR",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub cmdline: String,
    /// A shell command that signs the file $UNSIGNED and writes $SIGNED. If it fails, there is no output.
    #[arg(long, value_name = "COMMAND")]
    pub sign_with: Option<String>,
    /// Takes the netboot directory only if this key, NAME:BASE64, has signed it. Can be given several times: any of them.
    #[arg(long = "public-key", value_name = "KEY", value_delimiter = ' ')]
    pub public_keys: Vec<PublicKey>,
    /// The file to write. Replaces an existing one once the new one is complete.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct NixBuilder {
    #[command(flatten)]
    pub stage1: Stage1,
    /// The JSON file with the structured attributes of the derivation.
    #[arg(
        long,
        value_name = "FILE",
        env = "NIX_ATTRS_JSON_FILE",
        default_value = ".attrs.json"
    )]
    pub attributes: PathBuf,
    /// The number of threads; 0 means one for each processor.
    #[arg(long, value_name = "N", env = "NIX_BUILD_CORES", default_value_t = 0)]
    pub cores: usize,
}

/// Parses a number of bytes, with K, M or G as an optional unit.
pub fn bytes(text: &str) -> Result<u64, String> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| {
            "write a number of bytes, such as 512, or one with a unit: 4K, 2M, 1G".into()
        })
}

/// Parses the block size of a store image.
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
