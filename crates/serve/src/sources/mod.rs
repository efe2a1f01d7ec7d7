//! From what the rules name to directories that can be had.

mod build;
pub mod dispatch;
mod flights;
mod folder;
mod home;
mod hydra;
mod kept;
mod nix;
mod on_demand;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use storeboot::PublicKey;

use crate::error::sentence;
use crate::lines::Kind;
use crate::{Directory, Error, Machine, Offers, Source};
use build::{BUILDS_NOTHING, Builder};
use flights::Flights;
use home::Home;
use kept::{LINGER, Shelf};
pub use on_demand::OnDemand;

/// Of so many sources that are built the newest directory is kept.
const MAX_BUILDS: usize = 64;

/// Whether what the rules name can be had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// It can.
    Ready(Arc<Directory>),
    /// Not yet: it is being built. Ask again in two seconds.
    Later {
        /// What is being built.
        what: String,
    },
    /// It cannot.
    Failed {
        /// Why, in one sentence.
        reason: String,
    },
}

/// Finds directories, and keeps them on offer.
///
/// Whoever asks gets what the source is at that moment: a folder that was replaced is opened anew. What it was before
/// stays on offer for an hour, for the machines that load it.
#[derive(Debug)]
pub struct Sources {
    inner: Arc<Inner>,
}

struct Inner {
    flights: Arc<Flights>,
    shelf: Arc<Shelf>,
    builder: OnceLock<Builder>,
    /// Of these keys, one must have signed each directory. None where nothing need be signed.
    keys: OnceLock<Vec<PublicKey>>,
    told: Box<Told>,
    /// What was told of each source last.
    said: Mutex<HashMap<Source, String>>,
}

type Told = dyn Fn(Kind, &str) + Send + Sync;

impl Sources {
    /// Puts what it finds on offer.
    pub fn new(offers: Arc<Offers>) -> Self {
        Self::with_notices(offers, |_, _| {})
    }

    /// The same, and `told` is told, in one sentence each, of what nobody who asks is told of: such as that a folder is
    /// gone, and machines get what was in it.
    pub fn with_notices(
        offers: Arc<Offers>,
        told: impl Fn(Kind, &str) + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                flights: Arc::default(),
                shelf: Arc::new(Shelf::new(offers, MAX_BUILDS)),
                builder: OnceLock::new(),
                keys: OnceLock::new(),
                told: Box::new(told),
                said: Mutex::default(),
            }),
        }
    }

    /// Builds systems when machines ask for them. What an earlier server gave to machines within the last hour is on
    /// offer again: they may still be loading it.
    ///
    /// # Errors
    /// Where the folder cannot be used, or is in use.
    pub fn build_on_demand(&self, settings: OnDemand) -> Result<(), Error> {
        let home = Home::open(&settings.folder)?;
        let builder = Builder::new(settings)?;
        let shelf = &self.inner.shelf;
        for earlier in home.earlier()? {
            let age = SystemTime::now().duration_since(earlier.given);
            // The time of what is given in this moment may seem to be in the future.
            if age.is_ok_and(|age| age > LINGER) {
                continue;
            }
            match build::open(&home, &earlier.name) {
                Ok(directory) => shelf.restore(directory, earlier.name),
                Err(error) => {
                    let reason = sentence(&error);
                    let told = "machines that load it begin again";
                    self.inner.tell(Kind::Fault, &format!("{reason}; {told}"));
                }
            }
        }
        // The second call changes nothing.
        let _ = shelf.home.set(home);
        let _ = self.inner.builder.set(builder);
        Ok(())
    }

    /// Takes only directories that one of these keys has signed, from now on. What is built when machines ask for it is
    /// not signed. The second call changes nothing.
    pub fn insist_on(&self, keys: Vec<PublicKey>) {
        let _ = self.inner.keys.set(keys);
    }

    /// Opens the directories among these before machines ask for them. So a server that was ended and starts again has
    /// on offer what machines are loading.
    ///
    /// # Errors
    /// As [`Directory::open`], for the first that cannot be opened; [`Error::NotBuilt`] for the first that the server
    /// has nothing to build from.
    pub async fn prepare(&self, sources: impl IntoIterator<Item = &Source>) -> Result<(), Error> {
        for source in sources {
            let Source::Directory(path) = source else {
                self.check(source)?;
                continue;
            };
            let path = path.clone();
            let keys = self.inner.keys();
            let opened = blocking(move || Directory::open_signed(&path, &keys)).await;
            if let Some(opened) = opened {
                self.inner.shelf.put(source, opened?, None);
            }
        }
        Ok(())
    }

    /// Checks that the server has something to build a system from.
    fn check(&self, source: &Source) -> Result<(), Error> {
        let builder = self.inner.builder.get();
        let checked = builder.map_or(Err(BUILDS_NOTHING.into()), |it| it.check(source));
        checked.map_err(|reason| Error::NotBuilt {
            what: source.to_string(),
            reason,
        })
    }

    /// Lets go of all directories but these. Those that machines load stay on offer for an hour.
    pub(crate) fn keep_only(&self, sources: &[&Source]) {
        self.inner.shelf.keep_only(sources);
        self.inner.sweep_later();
    }

    /// Opens what other rules name, as if a machine asked for it. Returns why it cannot be had now; it may come later.
    pub(crate) async fn try_out(&self, source: &Source) -> Option<String> {
        let Source::Directory(path) = source else {
            return self.check(source).err().map(|error| sentence(&error));
        };
        if self.inner.unchanged(source, path).await.is_some() {
            return None;
        }
        let opened = Arc::clone(&self.inner).open(source.clone(), path.clone());
        match opened.await {
            Found::Failed { reason } => Some(reason),
            _ => None,
        }
    }

    /// Tells, in one sentence, what goes wrong and nobody who asks is told of.
    pub(crate) fn tell(&self, sentence: &str) {
        self.inner.tell(Kind::Fault, sentence);
    }

    /// Ends the builds that are under way. What is half built is removed.
    pub fn stop(&self) {
        if let Some(builder) = self.inner.builder.get() {
            builder.stop();
        }
    }

    /// Finds what a rule names. See [`Self::find_for`].
    pub async fn find(&self, source: &Source) -> Found {
        self.find_for(source, &Machine::default()).await
    }

    /// Finds what a rule names, for a machine.
    ///
    /// What has to be built or read is so once for all who ask meanwhile. A machine that is told to ask again gets the
    /// result when it does; a machine that begins to boot then gets a newer one.
    pub async fn find_for(&self, source: &Source, machine: &Machine) -> Found {
        self.inner.sweep().await;
        let asker = asker(machine);
        let inner = || Arc::clone(&self.inner);
        let flights = &self.inner.flights;
        let found = match source {
            Source::Directory(path) => {
                if let Some(directory) = self.inner.unchanged(source, path).await {
                    return Found::Ready(directory);
                }
                let work = || inner().open(source.clone(), path.clone());
                flights.ask(source, &asker, machine.address, work).await
            }
            _ => {
                let work = || inner().build(source.clone());
                flights.ask(source, &asker, machine.address, work).await
            }
        };
        found.unwrap_or_else(|| Found::Later {
            what: source.to_string(),
        })
    }
}

impl Inner {
    fn keys(&self) -> Vec<PublicKey> {
        self.keys.get().cloned().unwrap_or_default()
    }

    fn tell(&self, kind: Kind, sentence: &str) {
        (self.told)(kind, sentence);
    }

    /// Tells something of a source, unless it is what was told of it last.
    fn tell_of(&self, source: &Source, kind: Kind, sentence: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(source) != Some(&sentence) {
            self.tell(kind, &sentence);
            said.insert(source.clone(), sentence);
        }
    }

    /// All is well with a source again.
    fn is_well(&self, source: &Source) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.remove(source);
    }

    /// Removes what left an hour ago.
    async fn sweep(self: &Arc<Self>) {
        let shelf = Arc::clone(&self.shelf);
        self.flights.forget();
        let failures = blocking(move || shelf.sweep()).await;
        for error in failures.unwrap_or_default() {
            self.tell(Kind::Fault, &sentence(&error));
        }
    }

    /// Comes back when what was replaced now has to go, for a server that nobody asks any more.
    fn sweep_later(self: &Arc<Self>) {
        let inner = Arc::downgrade(self);
        tokio::spawn(async move {
            // A moment more: it is due then.
            tokio::time::sleep(LINGER + Duration::from_secs(1)).await;
            if let Some(inner) = inner.upgrade() {
                inner.sweep().await;
            }
        });
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

/// How a machine that asks is told from others.
fn asker(machine: &Machine) -> String {
    let address = || machine.address.map(|address| address.to_string());
    let mac = machine.mac.map(|mac| mac.to_string());
    mac.or_else(address).unwrap_or_default()
}

/// Does what takes time beside the tasks. `None`: the server is ending.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rule_that_names_what_cannot_be_built_is_an_error_at_the_start() {
        let profile = Source::Profile("node".into());
        let sources = Sources::new(Arc::default());
        let error = sources.prepare([&profile]).await.unwrap_err();
        let said = error.to_string();
        assert_eq!(
            said,
            "profile node cannot be built: the server builds no systems"
        );

        let folder = tempfile::tempdir().unwrap();
        let stage1 = folder.path().join("storeboot-init");
        std::fs::write(&stage1, "").unwrap();
        let mut settings = OnDemand::new(folder.path().join("cache"), &stage1);
        settings.profiles = Some(folder.path().into());
        settings.hydras = vec!["https://hydra.example.org".into()];
        sources.build_on_demand(settings.clone()).unwrap();
        sources.prepare([&profile]).await.unwrap();
        let job = |text: &str| Source::Hydra(text.parse().unwrap());
        sources
            .prepare([&job("hydra.example.org/a/b/c")])
            .await
            .unwrap();
        for (source, reason) in [
            (Source::Configuration("a".into()), "(--configurations)"),
            (Source::Flake("a".into()), "(--flake)"),
            (job("other.example.org/a/b/c"), "none of the Hydra servers"),
        ] {
            let error = sources.prepare([&source]).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }

        settings.folder = folder.path().join("another");
        settings.flake = Some("github:a/b#c".into());
        let error = Sources::new(Arc::default()).build_on_demand(settings);
        assert!(matches!(error, Err(Error::Flake(_))), "{error:?}");
    }
}
