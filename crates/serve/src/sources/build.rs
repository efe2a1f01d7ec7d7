//! Has Nix build a system, and packs it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use storeboot::closure::{Input, StoreDir, StoreRoot, resolve_root};
use storeboot::{Cancel, Context, Folder, Netboot, Store};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::home::{Home, remove};
use super::nix::{Nix, target};
use super::{Found, Inner, OnDemand, blocking, hydra};
use crate::error::sentence;
use crate::lines::Kind;
use crate::{Directory, Error, Source, regular};

/// What is built of a configuration: a derivation, what `import <nixpkgs/nixos>` makes, or a function that makes one of
/// these.
const CONFIGURATION: &str = "{ path }:
let
  value = import path;
  called = if builtins.isFunction value then value { } else value;
  build = called.config.system.build or { };
in
build.netboot or build.toplevel or called";

/// The same of a flake's.
const OF_BUILD: &str = "build: (build.netboot or build.toplevel).drvPath";

/// The file of a system that has the kernel's command line.
const PARAMETERS: &str = "kernel-params";
/// So many bytes of it are read. A kernel takes 4 KiB at most.
const MAX_PARAMETERS: u64 = 64 << 10;

/// Why there is no builder.
pub(super) const BUILDS_NOTHING: &str = "the server builds no systems";

/// Builds systems.
pub(super) struct Builder {
    settings: OnDemand,
    nix: Nix,
    slots: Semaphore,
    context: Context<'static>,
    cancel: Cancel,
    /// SHA-256 of stage 1.
    stage1: String,
    /// What the flake was when it was last evaluated for a source, and the system that came out.
    evaluated: Mutex<HashMap<Source, (String, PathBuf)>>,
    links: AtomicU64,
    /// Held while what has this name is packed: two sources may name the same system.
    packing: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// A system that is there.
struct System {
    path: PathBuf,
    /// Keeps it from being collected until it has a link of its own.
    _link: Option<Link>,
}

/// A link for as long as a build is under way.
struct Link(PathBuf);

impl Drop for Link {
    fn drop(&mut self) {
        // The next start removes what stays.
        let _ = remove(&self.0);
    }
}

impl Builder {
    pub(super) fn new(settings: OnDemand) -> Result<Self, Error> {
        if let Some(flake) = settings.flake.as_ref().filter(|flake| flake.contains('#')) {
            return Err(Error::Flake(flake.clone()));
        }
        for folder in [&settings.configurations, &settings.profiles]
            .into_iter()
            .flatten()
        {
            // It may be filled later, and is there from the beginning.
            fs::read_dir(folder).map_err(Error::read(folder))?;
        }
        if let Some(url) = settings.hydras.iter().find(|url| !hydra::is_server(url)) {
            return Err(Error::Hydra(url.clone()));
        }
        let stage1 = fs::read(&settings.stage1).map_err(Error::read(&settings.stage1))?;
        let cancel = Cancel::new();
        let mut context = Context::new().cancel(cancel.clone());
        if let Some(cache) = &settings.cache {
            context = context.cache(Arc::clone(cache));
        }
        Ok(Self {
            nix: Nix {
                programs: settings.nix.clone(),
                home: settings.folder.clone(),
                limit: settings.build_limit,
            },
            slots: Semaphore::new(settings.builds.get()),
            context,
            cancel,
            stage1: HEXLOWER.encode(&Sha256::digest(stage1)),
            evaluated: Mutex::default(),
            links: AtomicU64::new(0),
            packing: Mutex::default(),
            settings,
        })
    }

    pub(super) fn stop(&self) {
        self.cancel.cancel();
        self.slots.close();
    }

    /// What is held while something of this name is packed.
    fn packing(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        packing.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = packing.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        packing.insert(name.into(), Arc::downgrade(&lock));
        lock
    }

    /// Waits until fewer builds are under way than may be.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, String> {
        let permit = self.slots.acquire().await;
        permit.map_err(|_| "the server is ending".into())
    }

    /// Finds the system that a source names now, and has Nix build it.
    async fn system(&self, source: &Source, home: &Home) -> Result<System, String> {
        match source {
            Source::Directory(path) => Err(format!("{} is no system", path.display())),
            Source::Profile(name) => self.profile(name),
            Source::Configuration(name) => self.configuration(name, home).await,
            Source::Flake(name) => self.flake(source, name, home).await,
            Source::Hydra(job) => {
                let _slot = self.slot().await?;
                let path = hydra::latest(job, &self.settings.hydras).await?;
                let link = self.link(home);
                Ok(System {
                    path: self.nix.realise(&path, &link.0).await?,
                    _link: Some(link),
                })
            }
        }
    }

    /// Why the server cannot build what a source names, whatever that is.
    pub(super) fn check(&self, source: &Source) -> Result<(), String> {
        match source {
            Source::Directory(_) => Ok(()),
            Source::Configuration(_) => self.configurations().map(drop).map_err(Into::into),
            Source::Profile(_) => self.profiles().map(drop).map_err(Into::into),
            Source::Flake(_) => self.flake_name().map(drop).map_err(Into::into),
            Source::Hydra(job) => hydra::url(job, &self.settings.hydras).map(drop),
        }
    }

    fn configurations(&self) -> Result<&Path, &'static str> {
        let folder = self.settings.configurations.as_deref();
        folder.ok_or("the server has no folder of configurations (--configurations)")
    }

    fn profiles(&self) -> Result<&Path, &'static str> {
        let folder = self.settings.profiles.as_deref();
        folder.ok_or("the server has no folder of profiles (--profiles)")
    }

    fn flake_name(&self) -> Result<&str, &'static str> {
        let flake = self.settings.flake.as_deref();
        flake.ok_or("the server has no flake (--flake)")
    }

    /// What the cache could not keep, if anything. The builds are whole without it.
    fn cache_failure(&self) -> Option<String> {
        let cache = self.settings.cache.as_ref()?;
        let failure = sentence(cache.first_failure()?);
        Some(format!(
            "the cache is not complete, and builds take longer: {failure}"
        ))
    }

    fn profile(&self, name: &str) -> Result<System, String> {
        let folder = self.profiles()?;
        let store = StoreDir::default();
        let path = resolve_root(&folder.join(name), &store, &StoreRoot::system());
        Ok(System {
            path: store
                .render_path(&path.map_err(|error| sentence(&error))?)
                .into(),
            _link: None,
        })
    }

    async fn configuration(&self, name: &str, home: &Home) -> Result<System, String> {
        let folder =
            std::path::absolute(self.configurations()?).map_err(|error| error.to_string())?;
        let files = [format!("{name}/default.nix"), format!("{name}.nix")];
        let file = files.iter().map(|file| folder.join(file));
        let file = file.clone().find(|file| file.is_file()).ok_or_else(|| {
            let files: Vec<String> = file.map(|file| file.display().to_string()).collect();
            format!(
                "there is no configuration {name}: {} is no file",
                files.join(" or ")
            )
        })?;
        let _slot = self.slot().await?;
        let link = self.link(home);
        let mut build = self.nix.command("nix-build");
        build
            .args(["--expr", CONFIGURATION, "--argstr", "path"])
            .arg(file)
            .arg("--out-link")
            .arg(&link.0);
        self.nix.run(&mut build).await?;
        Ok(System {
            path: target(&link.0)?,
            _link: Some(link),
        })
    }

    async fn flake(&self, source: &Source, name: &str, home: &Home) -> Result<System, String> {
        let flake = self.flake_name()?;
        let _slot = self.slot().await?;
        let mut metadata = self.nix.new_command();
        metadata.args(["flake", "metadata", "--json", flake]);
        let state = state(&self.nix.run(&mut metadata).await?)?;
        let link = self.link(home);
        if let Some(path) = self.known(source, state.as_deref())
            && let Ok(path) = self.nix.realise(&path, &link.0).await
        {
            return Ok(System {
                path,
                _link: Some(link),
            });
        }
        let mut eval = self.nix.new_command();
        // The name has no quotes in it.
        let attribute = format!("{flake}#nixosConfigurations.\"{name}\".config.system.build");
        eval.args(["eval", "--raw", &attribute, "--apply", OF_BUILD]);
        let derivation = self.nix.run(&mut eval).await?;
        let path = self.nix.realise(&derivation, &link.0).await?;
        if let Some(state) = state {
            let mut evaluated = self
                .evaluated
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            evaluated.insert(source.clone(), (state, path.clone()));
        }
        Ok(System {
            path,
            _link: Some(link),
        })
    }

    /// The system that came out when the flake was the same.
    fn known(&self, source: &Source, state: Option<&str>) -> Option<String> {
        let evaluated = self
            .evaluated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (then, path) = evaluated.get(source)?;
        (Some(then.as_str()) == state)
            .then(|| path.to_str().map(Into::into))
            .flatten()
    }

    /// A new link.
    fn link(&self, home: &Home) -> Link {
        let number = self.links.fetch_add(1, Ordering::Relaxed);
        Link(home.root(&format!("new-{number}")))
    }

    /// The name of what is made of a system: another for whatever changes it.
    fn name(&self, system: &Path) -> String {
        let OnDemand {
            layout,
            compression,
            ..
        } = &self.settings;
        let layout = layout.map(|layout| layout.to_string());
        let parts = [
            &system.display().to_string(),
            &self.stage1,
            &layout.unwrap_or_default(),
            &compression.to_string(),
            env!("CARGO_PKG_VERSION"),
        ];
        let hash = HEXLOWER.encode(&Sha256::digest(parts.join("\n")));
        let hash: String = hash.chars().take(32).collect();
        // For people.
        let system = system.file_name().unwrap_or_default().to_string_lossy();
        let name = system.split_once('-').map_or("system", |(_, name)| name);
        format!("{hash}-{}", name.chars().take(128).collect::<String>())
    }

    /// The netboot directory of a system: its own, one that was packed before, or one that is packed now.
    fn pack(&self, system: &Path, home: &Home, name: &str) -> Result<Directory, Error> {
        if system.join("manifest.json").is_file() {
            return Directory::open(system);
        }
        let folder = home.build(name);
        if folder.exists() {
            match Directory::open(&folder) {
                Ok(directory) => return Ok(directory),
                // Whatever happened to it, it can be made again.
                Err(_) => remove(&folder)?,
            }
        }
        let netboot = self.netboot(system)?;
        let root = StoreRoot::system();
        let closure = Input::Roots(vec![system.into()])
            .read(&StoreDir::default(), &root)
            .map_err(storeboot::Error::from)?;
        let store = Store::new(closure, root, &self.context)?;
        netboot.build(&store, &folder, &self.context)?;
        Directory::open_new(&folder)
    }

    /// How a system boots that has no netboot directory of its own: by storeboot's stage 1, since NixOS's initrd looks
    /// for the disks of the configuration.
    fn netboot(&self, system: &Path) -> Result<Netboot, Error> {
        // With systemd in NixOS's initrd, `init` is systemd itself, which needs a system that was activated. The script
        // that activates it starts systemd by itself where no initrd of NixOS's has started it.
        let inits = ["prepare-root", "init"].map(|name| system.join(name));
        let init = inits.into_iter().find(|path| path.exists());
        let kernel = system.join("kernel");
        let (Some(init), true) = (init, kernel.exists()) else {
            return Err(Error::NoSystem(system.into()));
        };
        let init = init.display().to_string();
        let folder = Folder::open(system).map_err(Error::read(system))?;
        // It is opened again when it is copied. Nothing in the store changes until then.
        folder.file("kernel").map_err(Error::read(&kernel))?;
        let mut netboot = Netboot::new(kernel, init, &self.settings.stage1);
        let modules = system.join("kernel-modules");
        netboot.modules = modules.exists().then_some(modules);
        let parameters = folder.file(PARAMETERS);
        match parameters.and_then(|file| regular::text(file, MAX_PARAMETERS)) {
            Ok(text) => netboot.command_line = text.trim().into(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::read(&folder.path(PARAMETERS))(error)),
        }
        netboot.layout = self.settings.layout;
        netboot.compression = Some(self.settings.compression);
        Ok(netboot)
    }
}

/// Opens what an earlier server built.
pub(super) fn open(home: &Home, name: &str) -> Result<Directory, Error> {
    let folder = home.build(name);
    match folder.exists() {
        true => Directory::open(&folder),
        false => Directory::open(&home.root(name)),
    }
}

impl Inner {
    /// Builds what a source names now, and gives it.
    pub(super) async fn build(self: Arc<Self>, source: Source) -> Found {
        match self.built(&source).await {
            Ok(directory) => Found::Ready(directory),
            Err(reason) => Found::Failed { reason },
        }
    }

    async fn built(self: &Arc<Self>, source: &Source) -> Result<Arc<Directory>, String> {
        let nothing = || format!("{BUILDS_NOTHING}, and so not {source}");
        let builder = self.builder.get().ok_or_else(nothing)?;
        let home = self.shelf.home.get().ok_or_else(nothing)?;
        let system = builder.system(source, home).await?;
        let name = builder.name(&system.path);
        let old = self.shelf.current(source);
        let packing = builder.packing(&name);
        let _alone = packing.lock().await;
        // Until the end, nobody removes what there is of this name.
        let (_reserved, built) = self.shelf.reserve(&name);
        let directory = match built {
            Some(kept) => self.shelf.give(source, kept),
            None => {
                let _slot = builder.slot().await?;
                let path = system.path.display().to_string();
                builder.nix.realise(&path, &home.root(&name)).await?;
                let inner = Arc::clone(self);
                let (path, as_name) = (system.path.clone(), name.clone());
                let packed = blocking(move || inner.pack(&path, &as_name)).await;
                let packed = packed.ok_or("the server is ending")?;
                match packed {
                    Ok(directory) => self.shelf.put(source, directory, Some(name.clone())),
                    Err(error) => {
                        let _ = home.remove(&name);
                        return Err(sentence(&error));
                    }
                }
            }
        };
        if let Some(failure) = builder.cache_failure() {
            self.tell_of(source, Kind::Fault, failure);
        }
        if let Err(error) = home.give(&name) {
            self.tell(Kind::Fault, &sentence(&error));
        }
        if old.is_none_or(|old| old.directory.id() != directory.id()) {
            let path = system.path.display();
            self.tell(Kind::Notice, &format!("{source} is {path} from now on"));
            self.sweep_later();
        }
        Ok(directory)
    }

    fn pack(&self, system: &Path, name: &str) -> Result<Directory, Error> {
        match (self.builder.get(), self.shelf.home.get()) {
            (Some(builder), Some(home)) => builder.pack(system, home, name),
            _ => Err(Error::NoSystem(system.into())),
        }
    }
}

/// What tells one state of a flake from another, if Nix tells: then the same evaluation has the same result.
fn state(metadata: &str) -> Result<Option<String>, String> {
    #[derive(Deserialize)]
    struct Metadata {
        /// Of the sources, in the store: its name comes from all files.
        path: Option<String>,
        fingerprint: Option<String>,
        #[serde(default)]
        locks: Value,
    }
    let metadata: Metadata = serde_json::from_str(metadata)
        .map_err(|error| format!("nix flake metadata prints something else: {error}"))?;
    let Metadata {
        path,
        fingerprint,
        locks,
    } = metadata;
    let is_known = path.is_some() || fingerprint.is_some();
    let state = || serde_json::json!([path, fingerprint, locks]).to_string();
    Ok(is_known.then(state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    use crate::regular::tests::pipe;

    #[test]
    fn only_regular_files_of_a_system_are_read_and_only_to_a_limit() {
        let world = tempfile::tempdir().unwrap();
        let stage1 = world.path().join("storeboot-init");
        fs::write(&stage1, "").unwrap();
        let settings = OnDemand::new(world.path().join("cache"), &stage1);
        let builder = Builder::new(settings).unwrap();
        let system = world.path().join("system");
        fs::create_dir(&system).unwrap();
        for name in ["init", "kernel"] {
            fs::write(system.join(name), name).unwrap();
        }
        let read = || builder.netboot(&system).map_err(|error| sentence(&error));
        assert_eq!(read().unwrap().command_line, "");
        let parameters = system.join(PARAMETERS);
        fs::write(&parameters, "quiet\n").unwrap();
        assert_eq!(read().unwrap().command_line, "quiet");

        let refused = |reason: &str| {
            let error = read().map(drop).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        fs::write(&parameters, "quiet ".repeat(20_000)).unwrap();
        refused("kernel-params cannot be read: it has more than 64 KiB");
        remove(&parameters).unwrap();
        fs::write(world.path().join("secret"), "a secret").unwrap();
        for target in ["../secret", "/dev/zero"] {
            symlink(target, &parameters).unwrap();
            refused("kernel-params cannot be read: it is a link");
            remove(&parameters).unwrap();
        }
        pipe(&parameters);
        refused("kernel-params cannot be read: it is no regular file");
        remove(&parameters).unwrap();
        remove(&system.join("kernel")).unwrap();
        pipe(&system.join("kernel"));
        refused("kernel cannot be read: it is no regular file");
    }
}
