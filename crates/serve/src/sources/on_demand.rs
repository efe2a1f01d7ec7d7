//! What the server builds when machines ask for it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storeboot::{Cache, Compression, Layout};

/// How systems are built and packed when machines ask for them.
///
/// Nix builds the system. A system with storeboot's NixOS module (`system.build.netboot`) has a netboot directory of its
/// own. Any other is packed here, and boots by storeboot's stage 1.
///
/// ```no_run
/// use std::sync::Arc;
/// use storeboot_serve::{OnDemand, Sources};
///
/// let mut on_demand = OnDemand::new("/var/cache/storeboot-serve", "/usr/libexec/storeboot-init");
/// on_demand.flake = Some("github:example/machines".into());
/// let sources = Sources::new(Arc::default());
/// sources.build_on_demand(on_demand)?;
/// # Ok::<(), storeboot_serve::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnDemand {
    /// The folder for what is built, which one server at a time uses: the netboot directories, and the links that keep
    /// Nix from collecting their systems. It is made if it is not there.
    pub folder: PathBuf,
    /// The program `storeboot-init`.
    pub stage1: PathBuf,
    /// The folder of [`Source::Configuration`](crate::Source::Configuration): `NAME/default.nix` or `NAME.nix` is a system,
    /// or what `import <nixpkgs/nixos>` makes.
    pub configurations: Option<PathBuf>,
    /// The folder of [`Source::Profile`](crate::Source::Profile): `NAME` is a link to a system.
    pub profiles: Option<PathBuf>,
    /// The flake of [`Source::Flake`](crate::Source::Flake), as Nix's commands take it, without `#` and what follows.
    pub flake: Option<String>,
    /// The servers of [`Source::Hydra`](crate::Source::Hydra), as `https://hydra.example.org`. Others are not asked. Nix
    /// has to know their caches.
    pub hydras: Vec<String>,
    /// So many systems are evaluated, built or packed at the same time.
    pub builds: NonZeroUsize,
    /// So long each command of Nix may take. Then it is ended, and machines are told why.
    pub build_limit: Duration,
    /// How the store sits in the initrd; `None` takes what suits the kernel.
    pub layout: Option<Layout>,
    /// How the store is compressed.
    pub compression: Compression,
    /// Keeps what was packed before, for the next build.
    pub cache: Option<Arc<Cache>>,
    /// The folder that has `nix`, `nix-build` and `nix-store`. `None`: they are on `PATH`.
    pub nix: Option<PathBuf>,
}

impl OnDemand {
    /// Builds nothing yet: one of `configurations`, `profiles`, `flake` and `hydras` has to be set. Packs with zstd's
    /// quickest level, and builds two systems at the same time. Nix has two hours.
    pub fn new(folder: impl Into<PathBuf>, stage1: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            stage1: stage1.into(),
            configurations: None,
            profiles: None,
            flake: None,
            hydras: Vec::new(),
            builds: const { NonZeroUsize::new(2).expect("not zero") },
            build_limit: Duration::from_secs(2 * 60 * 60),
            layout: None,
            compression: quick(),
            cache: None,
            nix: None,
        }
    }
}

fn quick() -> Compression {
    "zstd:1".parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_is_quick() {
        assert_eq!(super::quick().to_string(), "zstd:1");
    }
}
