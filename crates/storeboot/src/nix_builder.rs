//! storeboot as a derivation's builder: `storeboot nix-builder`.
//!
//! The derivation has `__structuredAttrs`, the closure in `exportReferencesGraph.closure`, and what to do in the
//! attribute set `storeboot`:
//!
//! ```json
//! { "outputs": { "out": "/nix/store/…-netboot" },
//!   "closure": [ { "path": "/nix/store/…", "narHash": "sha256:…", "narSize": 1, "references": [] } ],
//!   "storeboot": { "action": "build", "kernel": "/nix/store/…/bzImage", "init": "/nix/store/…/init" } }
//! ```
//!
//! | `action` | makes | attributes it must have |
//! | --- | --- | --- |
//! | `build` | a [`Netboot`] directory | `kernel`, `init` |
//! | `pack` | one file with the closure ([`Pack`]) | `format` |
//! | `layer` | a [`Layer`]; `exportReferencesGraph.below` is the closure of the layers below it, if there are any | |
//! | `uki` | a folder with `uki.efi` ([`Uki`]), of a netboot directory | `netboot`, `stub` |
//! | `initrd` | a folder with a [`Ramdisk`] called `initrd` | `contents`, a list of `{ source, target, dlopen }`; `compression` |
//!
//! An attribute `camelCase` means what the option `--camel-case` means on the command line.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;
use storeboot_closure::{StoreDir, StoreRoot, graph_from_value};

use crate::store::check_bootable;
use crate::{
    Archives, Compression, Context, Dlopen, Error, Format, Layer, Layout, Needed, Netboot, Pack,
    Ramdisk, Store, Uki,
};

/// An initrd's file in its folder.
const INITRD: &str = "initrd";
/// A UKI's file in its folder.
const UKI: &str = "uki.efi";

/// What a derivation asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum Action {
    Build(Box<BuildAttributes>),
    Pack(PackAttributes),
    Layer(LayerAttributes),
    Initrd(InitrdAttributes),
    Uki(UkiAttributes),
}

#[derive(Debug, Deserialize)]
struct Outputs {
    out: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BuildAttributes {
    kernel: PathBuf,
    init: String,
    stage1: Option<PathBuf>,
    initrd: Option<PathBuf>,
    modules: Option<PathBuf>,
    #[serde(default)]
    extra_modules: Vec<String>,
    #[serde(default)]
    cmdline: String,
    layout: Option<String>,
    compression: Option<String>,
    #[serde(default)]
    archives: Archives,
    block_size: Option<u32>,
    profile: Option<PathBuf>,
    image_limit: Option<u64>,
    #[serde(default)]
    layers: Vec<PathBuf>,
    #[serde(default)]
    store_url: Vec<String>,
    #[serde(default)]
    network_modules: Vec<String>,
    keep: Option<String>,
    #[serde(default)]
    disk_modules: Vec<String>,
    firmware: Option<PathBuf>,
    #[serde(default)]
    prepend: Vec<PathBuf>,
    #[serde(default)]
    segments: bool,
    #[serde(default)]
    imgverify: bool,
    #[serde(default)]
    verify_at_boot: bool,
    #[serde(default)]
    verity: bool,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    read_only_store: bool,
    #[serde(default)]
    sbom: bool,
    #[serde(default)]
    no_check: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PackAttributes {
    format: Format,
    compression: Option<String>,
    #[serde(default)]
    archives: Archives,
    block_size: Option<u32>,
    profile: Option<PathBuf>,
    #[serde(default)]
    no_check: bool,
    /// The file in the output, which is then a folder that Hydra takes a build product from.
    product: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LayerAttributes {
    compression: Option<String>,
    block_size: Option<u32>,
    profile: Option<PathBuf>,
    image_limit: Option<u64>,
    #[serde(default)]
    verity: bool,
    #[serde(default)]
    no_check: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InitrdAttributes {
    contents: Vec<LinkEntry>,
    /// Whether to pack the whole closure of the contents, and not only what they need.
    #[serde(default = "yes")]
    whole_closure: bool,
    #[serde(default)]
    prepend: Vec<PathBuf>,
    compression: String,
    /// What the second name of the file ends with.
    extension: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UkiAttributes {
    netboot: PathBuf,
    stub: PathBuf,
    os_release: Option<PathBuf>,
    #[serde(default)]
    cmdline: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkEntry {
    source: String,
    target: Option<String>,
    dlopen: Option<Dlopen>,
}

impl Action {
    /// Whether the store paths are packed without a look at their NAR hashes.
    fn no_check(&self) -> bool {
        match self {
            Self::Build(build) => build.no_check,
            Self::Pack(pack) => pack.no_check,
            Self::Layer(layer) => layer.no_check,
            Self::Initrd(_) | Self::Uki(_) => false,
        }
    }
}

fn yes() -> bool {
    true
}

/// Reads attributes and makes nothing: for the fuzzer.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(text: &[u8]) {
    let Ok(mut attributes) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    let mut take = |name: &str| attributes.get_mut(name).map_or(Value::Null, Value::take);
    let _ = serde_json::from_value::<Action>(take("storeboot"));
    let _ = serde_json::from_value::<Outputs>(take("outputs"));
    let _ = graph_from_value(take("closure"), &StoreDir::default());
}

/// Reads the structured attributes in the file `attributes` and makes the output `out`.
///
/// `stage1` is taken where the attributes name none.
///
/// # Errors
/// Where the attributes are not understood, and as [`Netboot::build`] and [`Pack::write`].
pub fn run(
    attributes: &Path,
    stage1: Option<&Path>,
    mut context: Context<'_>,
) -> Result<(), Error> {
    let text = fs::read(attributes).map_err(Error::read(attributes))?;
    let mut attributes: Value = serde_json::from_slice(&text).map_err(refuse)?;
    let mut take = |name: &str| {
        attributes
            .get_mut(name)
            .map(Value::take)
            .ok_or_else(|| Error::Attributes(format!("there is no {name}")))
    };
    let action: Action = serde_json::from_value(take("storeboot")?).map_err(refuse)?;
    if action.no_check() {
        context = context.without_nar_check();
    }
    let context = &context;
    let Outputs { out } = serde_json::from_value(take("outputs")?).map_err(refuse)?;
    let store_dir = out
        .parent()
        .and_then(Path::to_str)
        .map(StoreDir::new)
        .and_then(Result::ok)
        .unwrap_or_default();
    // Said before the closure is read, whose paths may be in yet another store.
    if matches!(action, Action::Build(_) | Action::Layer(_)) {
        check_bootable(&store_dir)?;
    }
    let graph = take("closure")?;
    let below = take("below").ok();
    let store = match graph.as_array() {
        Some(paths) if paths.is_empty() => None,
        _ => Some(Store::new(
            graph_from_value(graph, &store_dir)?,
            StoreRoot::system(),
            context,
        )?),
    };
    // Only an initrd may be without any store path.
    let whole = || {
        let empty = storeboot_closure::Error::Empty;
        store.as_ref().ok_or(Error::Closure(empty))
    };
    match action {
        Action::Build(build) => {
            let netboot = build.netboot(stage1)?;
            // Nix takes away what a failed build leaves.
            fs::create_dir(&out).map_err(Error::write(&out))?;
            let built = netboot.build_in(whole()?, &out, context);
            built.map(drop).map_err(|error| error.of_output(&out, &out))
        }
        Action::Pack(pack) => pack.write(whole()?, &out, context),
        Action::Layer(layer) => {
            let layer = layer.layer(below, &store_dir)?;
            fs::create_dir(&out).map_err(Error::write(&out))?;
            let built = layer.build_in(whole()?, &out, context);
            built.map_err(|error| error.of_output(&out, &out))
        }
        Action::Initrd(initrd) => initrd.write(store.as_ref(), &out, context),
        Action::Uki(uki) => uki.write(&out, context),
    }
}

impl BuildAttributes {
    fn netboot(self, stage1: Option<&Path>) -> Result<Netboot, Error> {
        let Some(stage1) = self.stage1.or_else(|| stage1.map(Into::into)) else {
            return Err(Error::Attributes("no stage1 is named".into()));
        };
        let mut netboot = Netboot::new(self.kernel, self.init, stage1);
        netboot.initrd = self.initrd;
        netboot.modules = self.modules;
        netboot.extra_modules = self.extra_modules;
        netboot.command_line = self.cmdline;
        netboot.layout = parse::<Layout>(self.layout)?;
        netboot.compression = parse::<Compression>(self.compression)?;
        netboot.archives = self.archives;
        netboot.block_size = self.block_size.unwrap_or(netboot.block_size);
        netboot.image_limit = self.image_limit;
        netboot.profile = self.profile;
        netboot.layers = self.layers;
        netboot.store_urls = self.store_url;
        netboot.network_modules = self.network_modules;
        netboot.keep = self.keep;
        netboot.disk_modules = self.disk_modules;
        netboot.firmware = self.firmware;
        netboot.prepend = self.prepend;
        netboot.segments = self.segments;
        netboot.imgverify = self.imgverify;
        netboot.verify_at_boot = self.verify_at_boot;
        netboot.verity = self.verity;
        netboot.stream = self.stream;
        netboot.read_only_store = self.read_only_store;
        netboot.sbom = self.sbom;
        Ok(netboot)
    }
}

impl PackAttributes {
    fn write(self, store: &Store, out: &Path, context: &Context<'_>) -> Result<(), Error> {
        let mut pack = Pack::new(self.format);
        pack.compression = parse::<Compression>(self.compression)?;
        pack.archives = self.archives;
        pack.profile = self.profile;
        pack.block_size = self.block_size.unwrap_or(pack.block_size);
        let Some(product) = self.product else {
            return write_file(out, |file| pack.write(store, file, context));
        };
        let path = out.join(file_name(&product)?);
        let support = out.join("nix-support");
        fs::create_dir_all(&support).map_err(Error::write(&support))?;
        write_file(&path, |file| pack.write(store, file, context))?;
        let products = support.join("hydra-build-products");
        let line = format!("file {}-image {}\n", self.format, path.display());
        fs::write(&products, line).map_err(Error::write(&products))
    }
}

impl InitrdAttributes {
    fn write(self, store: Option<&Store>, out: &Path, context: &Context<'_>) -> Result<(), Error> {
        let mut ramdisk = Ramdisk::new(self.compression.parse().map_err(refuse)?);
        if !self.whole_closure {
            let needed = |content: &LinkEntry| {
                let mut needed = Needed::new(&content.source);
                needed.dlopen.clone_from(&content.dlopen);
                needed
            };
            ramdisk.needed = Some(self.contents.iter().map(needed).collect());
        }
        let link = |content: LinkEntry| Some((content.target?, content.source));
        ramdisk.links = self.contents.into_iter().filter_map(link).collect();
        ramdisk.prepend = self.prepend;
        fs::create_dir(out).map_err(Error::write(out))?;
        write_file(&out.join(INITRD), |file| {
            let mut file = BufWriter::with_capacity(1 << 20, file);
            ramdisk.write(store, &mut file, context)?;
            file.flush().map_err(Error::write(out))
        })?;
        if let Some(extension) = self.extension.filter(|text| !text.is_empty()) {
            let link = out.join(file_name(&format!("{INITRD}{extension}"))?);
            symlink(INITRD, &link).map_err(Error::write(&link))?;
        }
        Ok(())
    }
}

impl UkiAttributes {
    fn write(self, out: &Path, context: &Context<'_>) -> Result<(), Error> {
        let mut uki = Uki::new(self.stub);
        uki.os_release = self.os_release;
        uki.command_line = self.cmdline;
        fs::create_dir(out).map_err(Error::write(out))?;
        uki.build(&self.netboot, &out.join(UKI), context).map(drop)
    }
}

impl LayerAttributes {
    /// `below` is the graph of the layers below, if there are any.
    fn layer(self, below: Option<Value>, store_dir: &StoreDir) -> Result<Layer, Error> {
        let mut layer = Layer::default();
        if let Some(graph) = below {
            let closure = graph_from_value(graph, store_dir)?;
            layer.below = closure.paths().map(|info| info.path.clone()).collect();
        }
        layer.compression = parse::<Compression>(self.compression)?;
        layer.block_size = self.block_size.unwrap_or(layer.block_size);
        layer.image_limit = self.image_limit;
        layer.profile = self.profile;
        layer.verity = self.verity;
        Ok(layer)
    }
}

/// Makes the output, which is a file.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut file = File::create_new(path).map_err(Error::write(path))?;
    write(&mut file).map_err(|error| error.of_output(path, path))
}

/// A name that is one of a file in a folder.
fn file_name(name: &str) -> Result<&str, Error> {
    match name {
        "" | "." | ".." => Err(refuse(format!("{name:?} is not a file's name"))),
        _ if name.contains('/') => Err(refuse(format!("{name:?} is not a file's name"))),
        _ => Ok(name),
    }
}

fn parse<T: FromStr<Err: Display>>(text: Option<String>) -> Result<Option<T>, Error> {
    text.map(|text| text.parse().map_err(refuse)).transpose()
}

fn refuse(error: impl Display) -> Error {
    Error::Attributes(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(text: &str) -> Result<Action, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_build_needs_a_kernel_and_an_init_and_no_more() {
        let build = action(r#"{ "action": "build", "kernel": "/k", "init": "/nix/store/i" }"#);
        let Ok(Action::Build(build)) = build else {
            panic!("{build:?}");
        };
        assert!(build.netboot(None).is_err(), "without a stage 1");
    }

    #[test]
    fn what_stage_1_does_comes_from_the_attributes() {
        let build = action(
            r#"{ "action": "build", "kernel": "/k", "init": "/i", "initrd": "/initrd",
                 "verifyAtBoot": true, "verity": true, "stream": true, "readOnlyStore": true }"#,
        );
        let Ok(Action::Build(build)) = build else {
            panic!("{build:?}");
        };
        let netboot = build.netboot(Some("/stage1".as_ref())).expect("sound");
        assert_eq!(netboot.initrd, Some("/initrd".into()));
        assert!(netboot.verify_at_boot && netboot.verity && netboot.stream);
        assert!(netboot.read_only_store);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            r#"{ "action": "bake", "kernel": "/k", "init": "/i" }"#,
            r#"{ "action": "build", "kernel": "/k" }"#,
            r#"{ "action": "build", "kernel": "/k", "init": "/i", "colour": "red" }"#,
            r#"{ "action": "pack", "format": "zip" }"#,
        ] {
            assert!(action(text).is_err(), "{text}");
        }
    }
}
