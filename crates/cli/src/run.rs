//! Runs each command by calling the library.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Result;
use storeboot::manifest::{FileKind, Manifest};
use storeboot::{
    Cache, Cancel, Context, Netboot, SecretKey, Verified, layer_paths, nix_builder, write_file,
};

use crate::arguments::{
    Arguments, Build, Command, Compare, Inspect, Layer, NixBuilder, Pack, PackingArguments, Sign,
    Uki, Verify,
};
use crate::progress::Display;
use crate::say::{print, print_line, say};
use crate::{documents, input, serve};

pub fn run(arguments: Arguments, cancel: &Cancel) -> Result<()> {
    let display = Display::new(arguments.quiet);
    let context = Context::new().progress(&display).cancel(cancel.clone());
    let quiet = arguments.quiet;
    match arguments.command {
        Command::Build(arguments) => build(*arguments, context, quiet),
        Command::Pack(arguments) => pack(arguments, context),
        Command::Layer(arguments) => layer(arguments, context),
        Command::Inspect(arguments) => inspect(&arguments),
        Command::Verify(arguments) => verify(&arguments, &context, quiet),
        Command::Compare(arguments) => compare(&arguments, &context),
        Command::Uki(arguments) => uki(arguments, &context, quiet),
        Command::Sign(arguments) => sign(&arguments, &context, quiet),
        Command::Serve(arguments) => serve::serve(arguments, cancel, quiet),
        Command::NixBuilder(arguments) => nix_builder(&arguments, context),
        Command::Man { folder } => documents::manual(&folder),
        Command::Completions { shell } => documents::completions(shell),
    }
}

/// Adds the threads, the cache and the check of the arguments to the context. Returns the context and the cache.
fn with_packing<'a>(
    mut context: Context<'a>,
    arguments: &PackingArguments,
) -> Result<(Context<'a>, Option<Arc<Cache>>)> {
    if let Some(jobs) = arguments.jobs {
        context = context.jobs(jobs);
    }
    if arguments.no_check {
        context = context.without_nar_check();
    }
    let cache = input::cache(&arguments.cache)?;
    if let Some(cache) = &cache {
        context = context.cache(Arc::clone(cache));
    }
    Ok((context, cache))
}

fn build(arguments: Build, context: Context<'_>, quiet: bool) -> Result<()> {
    let stage1 = input::stage1(&arguments.stage1)?;
    let mut netboot = Netboot::new(arguments.kernel, arguments.init, stage1);
    netboot.initrd = arguments.initrd;
    netboot.modules = arguments.modules;
    netboot.extra_modules = arguments.extra_modules;
    netboot.command_line = arguments.cmdline;
    netboot.layout = arguments.layout;
    netboot.compression = arguments.packing.compression;
    netboot.archives = arguments.archives.archives;
    netboot.block_size = arguments.packing.block_size;
    netboot.image_limit = arguments.image_limit;
    netboot.profile.clone_from(&arguments.packing.profile);
    netboot.layers = arguments.layers;
    netboot.store_urls = arguments.store_urls;
    netboot.network_modules = arguments.network_modules;
    netboot.keep = arguments.keep;
    netboot.disk_modules = arguments.disk_modules;
    netboot.firmware = arguments.firmware;
    netboot.prepend = arguments.prepend;
    netboot.segments = arguments.segments;
    netboot.imgverify = arguments.imgverify;
    netboot.verify_at_boot = arguments.verify_at_boot;
    netboot.verity = arguments.verity;
    netboot.stream = arguments.stream;
    netboot.read_only_store = arguments.read_only_store;
    netboot.sbom = arguments.sbom;
    let (context, cache) = with_packing(context, &arguments.packing)?;
    let store = input::store(&arguments.input, &context)?;
    let manifest = netboot.build(&store, &arguments.output, &context)?;
    input::check(cache);
    if !quiet {
        summary(&arguments.output.display().to_string(), &manifest);
    }
    Ok(())
}

fn summary(output: &str, manifest: &Manifest) {
    let initrd: u64 = manifest
        .files
        .iter()
        .filter(|file| file.kind == FileKind::Initrd)
        .map(|file| file.size)
        .sum();
    say(format_args!(
        "{output}: layout {}, initrd {} MiB for {} store paths of {} MiB; boots with about {} MiB of memory, {} MiB by UEFI",
        manifest.layout,
        initrd >> 20,
        manifest.closure.paths,
        manifest.closure.nar_size >> 20,
        manifest.memory.div_ceil(1 << 20),
        manifest.memory_uefi.div_ceil(1 << 20),
    ));
}

fn pack(arguments: Pack, context: Context<'_>) -> Result<()> {
    let mut pack = storeboot::Pack::new(arguments.format);
    pack.compression = arguments.packing.compression;
    pack.archives = arguments.archives.archives;
    pack.block_size = arguments.packing.block_size;
    pack.profile.clone_from(&arguments.packing.profile);
    let (context, cache) = with_packing(context, &arguments.packing)?;
    let store = input::store(&arguments.input, &context)?;
    write_file(&arguments.output, |file| pack.write(&store, file, &context))?;
    input::check(cache);
    Ok(())
}

fn layer(arguments: Layer, context: Context<'_>) -> Result<()> {
    let mut layer = storeboot::Layer::default();
    for folder in &arguments.below {
        layer.below.extend(layer_paths(folder)?);
    }
    layer.compression = arguments.packing.compression;
    layer.block_size = arguments.packing.block_size;
    layer.image_limit = Some(arguments.image_limit);
    layer.profile.clone_from(&arguments.packing.profile);
    layer.verity = arguments.verity;
    let (context, cache) = with_packing(context, &arguments.packing)?;
    let store = input::store(&arguments.input, &context)?;
    layer.build(&store, &arguments.output, &context)?;
    input::check(cache);
    Ok(())
}

fn nix_builder(arguments: &NixBuilder, mut context: Context<'_>) -> Result<()> {
    let stage1 = input::stage1(&arguments.stage1).ok();
    if let Some(jobs) = NonZeroUsize::new(arguments.cores) {
        context = context.jobs(jobs);
    }
    nix_builder::run(&arguments.attributes, stage1.as_deref(), context)?;
    Ok(())
}

fn inspect(arguments: &Inspect) -> Result<()> {
    let inspection = storeboot::inspect(&arguments.path)?;
    if arguments.json {
        print(serde_json::to_string_pretty(&inspection)? + "\n")
    } else {
        print(inspection)
    }
}

fn verify(arguments: &Verify, context: &Context<'_>, quiet: bool) -> Result<()> {
    let path = &arguments.path;
    let verified = match arguments.public_keys.as_slice() {
        [] => storeboot::verify(path, context)?,
        keys => storeboot::verify_signed(path, keys, context)?,
    };
    if !quiet {
        let path = path.display();
        print_line(format_args!("{path}: {}", said(&verified)))?;
    }
    Ok(())
}

fn compare(arguments: &Compare, context: &Context<'_>) -> Result<()> {
    let comparison = storeboot::compare(&arguments.before, &arguments.after, context)?;
    if arguments.json {
        print(serde_json::to_string_pretty(&comparison)? + "\n")
    } else {
        print(comparison)
    }
}

fn uki(arguments: Uki, context: &Context<'_>, quiet: bool) -> Result<()> {
    let stub = match arguments.stub {
        Some(stub) => stub,
        None => {
            let manifest = storeboot::read_manifest(&arguments.directory, &arguments.public_keys)?;
            storeboot::Uki::installed_stub(manifest.kernel.architecture)?
        }
    };
    let mut uki = storeboot::Uki::new(stub);
    uki.os_release = arguments.os_release;
    uki.command_line = arguments.cmdline;
    uki.sign_with = arguments.sign_with;
    uki.public_keys = arguments.public_keys;
    let size = uki.build(&arguments.directory, &arguments.output, context)?;
    if !quiet {
        let output = arguments.output.display();
        say(format_args!("{output}: {} MiB", size.div_ceil(1 << 20)));
    }
    Ok(())
}

fn sign(arguments: &Sign, context: &Context<'_>, quiet: bool) -> Result<()> {
    let key = SecretKey::read(&arguments.key_file)?;
    storeboot::sign(&arguments.directory, &key, context)?;
    if !quiet {
        let directory = arguments.directory.display();
        let public = key.public();
        let signer = public.name();
        print_line(format_args!("{directory}: signed by {signer}"))?;
    }
    Ok(())
}

fn said(verified: &Verified) -> String {
    let mut parts = Vec::new();
    if let Some(signer) = &verified.signer {
        parts.push(format!("signed by {signer}"));
    }
    if verified.files > 0 {
        parts.push(format!("{} files are as in the manifest", verified.files));
    }
    if verified.images > 0 {
        parts.push(format!(
            "{} store paths in {} store images are as registered",
            verified.paths, verified.images
        ));
    }
    parts.join("; ")
}
