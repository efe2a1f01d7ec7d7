//! A netboot directory, from a closure and a kernel.

mod fetch_options;
mod initrd;
mod ipxe_script;
mod machine_script;
mod memory;
mod scripts;
mod segment_files;
mod stage2;
mod stream;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use storeboot_squashfs::Compression;
use storeboot_squashfs::format::MAX_BLOCK_SIZE;

use crate::digest::{self, hex};
use crate::initrd::other_initrd::OtherInitrd;
use crate::initrd::program;
use crate::kernel::{Architecture, KernelImage};
use crate::layer::Layers;
use crate::layout::{self, Host};
use crate::manifest::{self, ClosureSize, FileEntry, FileKind, Kernel, Manifest};
use crate::modules::{self, Besides, DEFAULT_MODULES, Module};
use crate::output::{self, MANIFEST};
use crate::pack::PackRequest;
use crate::{Archives, Context, Error, Layout, Store, sbom, store};
pub(crate) use fetch_options::names_store;
use initrd::Parts;
use ipxe_script::ipxe_script;
pub use machine_script::machine_script;
pub(crate) use scripts::COMMAND_LINE_MAX;

/// The file of the bill of materials. Its ending is the one that CycloneDX names.
const SBOM: &str = "sbom.cdx.json";

/// What goes into a netboot directory besides the store.
///
/// ```no_run
/// use storeboot::{Context, Netboot, Store};
/// use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
///
/// let json = std::fs::File::open("path-info.json")?;
/// let context = Context::new();
/// let closure = read_path_info(json, &StoreDir::default())?;
/// let store = Store::new(closure, StoreRoot::system(), &context)?;
/// let system = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system";
/// let mut netboot = Netboot::new(
///     format!("{system}/kernel"),
///     format!("{system}/init"),
///     "/usr/libexec/storeboot-init",
/// );
/// netboot.modules = Some(format!("{system}/kernel-modules").into());
/// netboot.command_line = "console=ttyS0".into();
/// let manifest = netboot.build(&store, "result".as_ref(), &context)?;
/// println!("boots with {} MiB", manifest.memory >> 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Netboot {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// Another initrd, such as NixOS's, whose `/init` is stage 1 in the place of storeboot's. It loads its own modules,
    /// and gets at the store by the program `/storeboot/attach`, which is put beside it.
    pub initrd: Option<PathBuf>,
    /// The folder that holds `lib/modules`; `None` where everything is built into the kernel.
    pub modules: Option<PathBuf>,
    /// Modules to load besides those that the store needs.
    pub extra_modules: Vec<String>,
    /// The program that stage 1 starts, a path of the closure.
    pub init: String,
    /// What else is to be on the kernel's command line.
    pub command_line: String,
    /// How the store sits in the initrd; `None` takes what suits the kernel.
    pub layout: Option<Layout>,
    /// `None` takes what suits the layout.
    pub compression: Option<Compression>,
    /// How the archive of layout `direct` is cut: one for all, or one for each store path.
    pub archives: Archives,
    /// Block size of store images, in bytes.
    pub block_size: u32,
    /// Bytes of a store image at most; a larger store becomes several images. `None`: 4 GiB, or 2 GiB before Linux 6.8;
    /// no limit in layout `fetch`.
    pub image_limit: Option<u64>,
    /// A boot profile ([`Profile`](crate::Profile)), whose files come first in the store images, in its order.
    pub profile: Option<PathBuf>,
    /// Layers that [`Layer::build`](crate::Layer::build) made, the lowest first: their store paths are not packed
    /// again.
    pub layers: Vec<PathBuf>,
    /// Layout `fetch`: the `http` URLs of this netboot directory, from which stage 1 fetches the store, from all of
    /// them at once. Puts `storeboot.store` on the command line. Without any, iPXE and `kexec-boot` say where it is.
    pub store_urls: Vec<String>,
    /// Layout `fetch`: the drivers of network cards that stage 1 has, as in
    /// [`DriverRequest::network`](modules::DriverRequest::network). Empty: `all`.
    pub network_modules: Vec<String>,
    /// Layout `fetch`: a disk that keeps the store between boots, `LABEL=…`, `UUID=…`, `PARTUUID=…` or `/dev/…`. Puts
    /// `storeboot.keep` on the command line.
    pub keep: Option<String>,
    /// Layout `fetch`: the drivers of disks that stage 1 has, as in
    /// [`DriverRequest::disk`](modules::DriverRequest::disk). Empty: `common` with [`keep`](Self::keep), else none.
    pub disk_modules: Vec<String>,
    /// Layout `fetch`: a folder of firmware files, as `/lib/firmware`. Those that the drivers name are put into the
    /// initrd.
    pub firmware: Option<PathBuf>,
    /// Files that go before everything else in the initrd, such as microcode or an archive of your own.
    pub prepend: Vec<PathBuf>,
    /// Whether to write the initrd's segments as files of their own, too, and `netboot-segments.ipxe` that loads them.
    pub segments: bool,
    /// Whether the iPXE scripts check a signature of each file, by iPXE's `imgverify`.
    pub imgverify: bool,
    /// Whether the store images' SHA-256 is checked before they are mounted; in layout `direct` there are none. Puts
    /// `storeboot.verify` on the command line.
    pub verify_at_boot: bool,
    /// Whether each store image gets a hash tree of dm-verity, by which the kernel checks every block that it reads. The
    /// [`layers`](Self::layers) must have been built with [`Layer::verity`](crate::Layer::verity). Not for layout `direct`,
    /// which has no images.
    pub verity: bool,
    /// Layout `fetch` with a [`profile`](Self::profile): stage 2 starts as soon as what the profile names is there, and the
    /// rest of the store is fetched while it runs. Not with another stage 1 ([`initrd`](Self::initrd)), with
    /// [`keep`](Self::keep), nor with [`verify_at_boot`](Self::verify_at_boot). Images of [`layers`](Self::layers) that were
    /// packed without a profile are fetched whole first.
    pub stream: bool,
    /// Whether the booted system finds its store read-only. Puts `storeboot.ro-store` on the command line.
    pub read_only_store: bool,
    /// Whether to write `sbom.cdx.json`: a software bill of materials of the closure and the kernel, in CycloneDX 1.5.
    pub sbom: bool,
    /// The program `storeboot-init`.
    pub stage1: PathBuf,
}

impl Netboot {
    /// Boots `init` on `kernel` by the stage 1 at `stage1`; everything else is at its default.
    pub fn new(
        kernel: impl Into<PathBuf>,
        init: impl Into<String>,
        stage1: impl Into<PathBuf>,
    ) -> Self {
        Self {
            kernel: kernel.into(),
            initrd: None,
            modules: None,
            extra_modules: Vec::new(),
            init: init.into(),
            command_line: String::new(),
            layout: None,
            compression: None,
            archives: Archives::Solid,
            block_size: MAX_BLOCK_SIZE,
            image_limit: None,
            profile: None,
            layers: Vec::new(),
            store_urls: Vec::new(),
            network_modules: Vec::new(),
            keep: None,
            disk_modules: Vec::new(),
            firmware: None,
            prepend: Vec::new(),
            segments: false,
            imgverify: false,
            verify_at_boot: false,
            verity: false,
            stream: false,
            read_only_store: false,
            sbom: false,
            stage1: stage1.into(),
        }
    }

    /// Makes the netboot directory `output`, whole or not at all. A netboot directory that is there already is
    /// replaced.
    ///
    /// # Errors
    /// Where anything that was asked for is missing, cannot be read, or cannot be expressed; see [`Error`].
    pub fn build(
        &self,
        store: &Store,
        output: &Path,
        context: &Context<'_>,
    ) -> Result<Manifest, Error> {
        output::write_folder(output, MANIFEST, |folder| {
            self.build_in(store, folder, context)
        })
    }

    /// Fills the folder `folder`, which exists and is empty. On an error it is left as far as it came.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_in(
        &self,
        store: &Store,
        folder: &Path,
        context: &Context<'_>,
    ) -> Result<Manifest, Error> {
        context.token().settle(self.fill(store, folder, context))
    }

    fn fill(&self, store: &Store, folder: &Path, context: &Context<'_>) -> Result<Manifest, Error> {
        store::check_bootable(store.closure().store_dir())?;
        stage2::check(store, &self.init)?;
        let kernel = KernelImage::read(&self.kernel)?;
        let layout = self
            .layout
            .unwrap_or_else(|| layout::default_for(&kernel.version));
        layout::check(layout, &kernel.version)?;
        self.check_fetch_options(layout)?;
        self.check_stream(layout, &kernel.version)?;
        if self.verity && layout == Layout::Direct {
            return Err(Error::VerityWithoutImages);
        }
        let arguments = self.arguments(layout, &kernel);
        let command_line = scripts::command_line(&self.init, &arguments, &self.command_line)?;
        let kernel_file = kernel.architecture.file_name();
        let fetch = (layout == Layout::Fetch).then(|| ipxe_script::Fetch {
            has_url: fetch_options::names_store(&command_line),
        });
        let script = |name, initrds: &[&str]| {
            ipxe_script(
                name,
                kernel_file,
                &command_line,
                initrds,
                fetch,
                self.imgverify,
                ipxe_script::Ending::Key,
            )
        };
        let netboot_ipxe = script("netboot.ipxe", &["initrd"])?;
        let other_initrd = self.other_initrd(kernel.architecture)?;
        let modules = self.find_modules(&kernel, layout)?;
        let drivers = self.find_drivers(&kernel, layout)?;
        for file in &self.prepend {
            check_readable(file).map_err(Error::read(file))?;
        }
        let stage1 = fs::read(&self.stage1).map_err(Error::read(&self.stage1))?;
        program::check_static(&stage1, kernel.architecture).map_err(|reason| Error::Stage1 {
            path: self.stage1.clone(),
            reason,
        })?;
        let image_limit = layout::image_limit(layout, &kernel.version, self.image_limit);
        let hashes = layout::hashes(layout);

        let layers = Layers::open(&self.layers, store.closure(), layout)?;
        let host = match other_initrd {
            None => Host::Storeboot,
            Some(_) => Host::Other,
        };
        let part = store.part(layers.paths(), true);
        let packed = layout::pack(
            layout,
            host,
            PackRequest {
                store: &part,
                below: layers.images(image_limit, hashes, self.verity, context)?,
                archives: self.archives,
                compression: self.compression,
                block_size: self.block_size,
                image_limit,
                profile: self.profile.as_deref(),
                hashes,
                verity: self.verity,
                stream: self.stream,
                scratch: folder,
                context,
            },
        )?;
        context.begin("writing the initrd", None)?;
        let parts = Parts {
            prepend: &self.prepend,
            other_initrd: other_initrd.as_ref(),
            stage1: &stage1,
            modules: &modules,
            drivers: &drivers,
            layout,
            packed: &packed,
            kernel: &kernel,
        };
        let initrd = parts.write(&folder.join("initrd"), context)?;
        context.evict();

        let mut files = vec![initrd.file];
        files.extend(initrd.images.iter().filter_map(image_file));
        let target = folder.join(kernel_file);
        copy(&self.kernel, &target)?;
        let (size, sha256) =
            digest::of_file(&target, context.token()).map_err(Error::read(&target))?;
        files.push(entry(kernel_file, FileKind::Kernel, size, &sha256));
        if self.sbom {
            let kernel = sbom::KernelFile {
                name: kernel_file,
                release: &kernel.version.release,
                sha256: &hex(&sha256),
            };
            files.push(self.write_sbom(store, &kernel, folder, context)?);
        }
        let mut scripts = vec![
            (
                "kernelAppend",
                FileKind::CommandLine,
                0o644,
                format!("{command_line}\n"),
            ),
            ("netboot.ipxe", FileKind::Script, 0o644, netboot_ipxe),
            (
                "kexec-boot",
                FileKind::Script,
                0o755,
                scripts::kexec_script(kernel_file, &command_line, layout),
            ),
        ];
        if self.segments {
            let segments = segment_files::write(folder, &initrd.segments)?;
            let names: Vec<&str> = segments.iter().map(|file| file.name.as_str()).collect();
            let name = "netboot-segments.ipxe";
            let script = script(name, &names)?;
            scripts.push((name, FileKind::Script, 0o644, script));
            files.extend(segments);
        }
        for (name, kind, mode, text) in scripts {
            write(&folder.join(name), mode, text.as_bytes())?;
            let (size, sha256) = digest::of_reader(text.as_bytes()).map_err(Error::read(name))?;
            files.push(entry(name, kind, size, &sha256));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.dedup();

        let closure = store.closure();
        let manifest = Manifest {
            schema: manifest::SCHEMA,
            layout,
            init: self.init.clone(),
            command_line,
            memory: initrd.memory.bios,
            memory_uefi: initrd.memory.uefi,
            kernel: Kernel {
                file: kernel_file.into(),
                version: kernel.version.to_string(),
                architecture: kernel.architecture,
            },
            closure: ClosureSize {
                paths: closure.len() as u64,
                nar_size: closure.nar_size().unwrap_or_default(),
            },
            files,
            segments: initrd.segments,
            images: initrd.images,
        };
        let text = manifest
            .to_json()
            .map_err(|error| Error::Inconsistent(error.to_string()))?;
        write(&folder.join(MANIFEST), 0o644, text.as_bytes())?;
        Ok(manifest)
    }

    fn write_sbom(
        &self,
        store: &Store,
        kernel: &sbom::KernelFile<'_>,
        folder: &Path,
        context: &Context<'_>,
    ) -> Result<FileEntry, Error> {
        let path = folder.join(SBOM);
        let file = File::create_new(&path).map_err(Error::write(&path))?;
        let mut out = BufWriter::new(&file);
        sbom::write(store.closure(), &self.init, kernel, &mut out)
            .and_then(|()| file.sync_all())
            .map_err(Error::write(&path))?;
        let (size, sha256) = digest::of_file(&path, context.token()).map_err(Error::read(&path))?;
        Ok(entry(SBOM, FileKind::Sbom, size, &sha256))
    }

    /// What the kernel's command line says besides `init=` and what the user wants.
    fn arguments(&self, layout: Layout, kernel: &KernelImage) -> Vec<String> {
        let arguments = layout::arguments(layout, kernel);
        let switches = [
            (self.verify_at_boot, "storeboot.verify"),
            (self.read_only_store, "storeboot.ro-store"),
        ];
        let switches = switches.iter().filter(|(on, _)| *on).map(|(_, word)| word);
        let words = arguments.iter().chain(switches);
        let words = words.map(|word| (*word).to_owned());
        words.chain(self.fetch_arguments()).collect()
    }

    fn other_initrd(&self, kernel: Architecture) -> Result<Option<OtherInitrd>, Error> {
        match &self.initrd {
            Some(path) if self.modules.is_some() || !self.extra_modules.is_empty() => {
                Err(Error::ModulesWithInitrd { path: path.clone() })
            }
            Some(path) => OtherInitrd::read(path, kernel).map(Some),
            None => Ok(None),
        }
    }

    fn find_modules(&self, kernel: &KernelImage, layout: Layout) -> Result<Vec<Module>, Error> {
        let Some(folder) = &self.modules else {
            return Ok(Vec::new());
        };
        let needed: &[&str] = match layout {
            Layout::File | Layout::InPlace | Layout::Fetch => &DEFAULT_MODULES,
            Layout::Direct => &[],
        };
        let extra = self.extra_modules.iter().map(String::as_str);
        let wanted = needed.iter().copied().chain(extra);
        let release = &kernel.version.release;
        let besides = Besides {
            verity: self.verity,
            stream: self.stream,
        };
        let found = modules::collect_with(besides, folder, release, wanted)?;
        Ok(found.load)
    }
}

/// The file of an image that is beside the initrd.
fn image_file(image: &manifest::Image) -> Option<FileEntry> {
    let beside = FileEntry {
        name: image.path.clone(),
        kind: FileKind::Image,
        size: image.size,
        sha256: image.sha256.clone(),
    };
    image.offset.is_none().then_some(beside)
}

fn entry(name: &str, kind: FileKind, size: u64, sha256: &[u8; 32]) -> FileEntry {
    FileEntry {
        name: name.into(),
        kind,
        size,
        sha256: hex(sha256),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut target = output::create(to).map_err(Error::write(to))?;
    output::copy(from, &mut target, to)?;
    target.sync_all().map_err(Error::write(to))
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    };
    write().map_err(Error::write(path))
}

/// Whether a file can be read, without opening it: a pipe gives what it has once.
fn check_readable(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    Ok(access(path, Access::READ_OK)?)
}
