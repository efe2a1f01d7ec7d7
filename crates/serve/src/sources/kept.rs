//! Which directories are given to machines, and which are kept for those that got them before.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::home::Home;
use crate::{Directory, Error, Offers, Source};

/// So long a directory stays on offer after another took its place: a machine may be loading it.
pub(super) const LINGER: Duration = Duration::from_secs(3600);

/// A directory, and the name of the build that it comes from, if the server made that.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) directory: Arc<Directory>,
    pub(super) build: Option<String>,
}

/// Which directories are given to machines, and which are kept.
#[derive(Debug)]
pub(super) struct Shelf {
    offers: Arc<Offers>,
    /// Of so many sources that are built the newest directory is kept.
    max_builds: usize,
    /// Where the builds are.
    pub(super) home: OnceLock<Home>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What each source gave last, and when it was asked for.
    current: HashMap<Source, (Kept, Instant)>,
    leaving: Vec<(Kept, Instant)>,
    /// The directories that rules name, once these have changed.
    named: Option<HashSet<Source>>,
    /// Names of builds that are under way.
    reserved: Vec<String>,
}

impl State {
    /// Moves the directories that no rule names to those that leave.
    fn let_go(&mut self, due: Instant) {
        let Some(named) = &self.named else { return };
        let is_unnamed = |source: &Source, (kept, _): &mut (Kept, Instant)| {
            kept.build.is_none() && !named.contains(source)
        };
        let old = self.current.extract_if(is_unnamed);
        self.leaving.extend(old.map(|(_, (kept, _))| (kept, due)));
    }
}

impl Shelf {
    pub(super) fn new(offers: Arc<Offers>, max_builds: usize) -> Self {
        Self {
            offers,
            max_builds,
            home: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// What the source gave last.
    pub(super) fn current(&self, source: &Source) -> Option<Kept> {
        self.lock()
            .current
            .get(source)
            .map(|(kept, _)| kept.clone())
    }

    /// The source gives this from now on. Returns the directory that is on offer for it.
    pub(super) fn put(
        &self,
        source: &Source,
        directory: Directory,
        build: Option<String>,
    ) -> Arc<Directory> {
        let kept = Kept {
            directory: self.offers.add(directory),
            build,
        };
        self.give(source, kept)
    }

    /// The source gives this, which is kept already, from now on.
    pub(super) fn give(&self, source: &Source, kept: Kept) -> Arc<Directory> {
        let now = Instant::now();
        let directory = Arc::clone(&kept.directory);
        let mut state = self.lock();
        let old = state.current.insert(source.clone(), (kept, now));
        state
            .leaving
            .extend(old.map(|(old, _)| (old, now + LINGER)));
        state.let_go(now + LINGER);
        // Whoever can name many jobs must not fill the disk with them.
        let mut builds: Vec<(Instant, Source)> = state
            .current
            .iter()
            .filter(|(_, (kept, _))| kept.build.is_some())
            .map(|(source, (_, asked))| (*asked, source.clone()))
            .collect();
        builds.sort_by_key(|(asked, _)| *asked);
        let surplus = builds.len().saturating_sub(self.max_builds);
        for (_, source) in builds.into_iter().take(surplus) {
            let old = state.current.remove(&source);
            state
                .leaving
                .extend(old.map(|(old, _)| (old, now + LINGER)));
        }
        directory
    }

    /// Lets go of the directories of all other sources in an hour, and of those that are opened for them after this. What
    /// was built stays: machines ask for it by its name, too.
    pub(super) fn keep_only(&self, sources: &[&Source]) {
        let mut state = self.lock();
        state.named = Some(sources.iter().copied().cloned().collect());
        state.let_go(Instant::now() + LINGER);
    }

    /// Offers a build that an earlier server made, for the machines that are loading it.
    pub(super) fn restore(&self, directory: Directory, build: String) {
        let kept = Kept {
            directory: self.offers.add(directory),
            build: Some(build),
        };
        let mut state = self.lock();
        state.leaving.push((kept, Instant::now() + LINGER));
    }

    /// Begins a build of this name, which stays on the disk until the end. Returns what was built under this name
    /// before.
    pub(super) fn reserve(self: &Arc<Self>, name: &str) -> (Reserved, Option<Kept>) {
        let mut state = self.lock();
        state.reserved.push(name.into());
        let current = state.current.values().map(|(kept, _)| kept);
        let leaving = state.leaving.iter().map(|(kept, _)| kept);
        let built = current
            .chain(leaving)
            .find(|kept| kept.build.as_deref() == Some(name) && kept.directory.is_intact());
        let built = built.cloned();
        let reserved = Reserved {
            shelf: Arc::clone(self),
            name: name.into(),
        };
        (reserved, built)
    }

    /// Offers no more what left an hour ago, and removes what was built for it. Returns what cannot be removed.
    pub(super) fn sweep(&self) -> Vec<Error> {
        let now = Instant::now();
        let mut failures = Vec::new();
        let mut state = self.lock();
        let (due, leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut state.leaving)
            .into_iter()
            .partition(|(_, due)| *due <= now);
        state.leaving = leaving;
        for (old, due) in due {
            let is_reserved = |build: &String| state.reserved.contains(build);
            if old.build.as_ref().is_some_and(is_reserved) {
                state.leaving.push((old, due));
                continue;
            }
            let current = state.current.values().map(|(kept, _)| kept);
            let leaving = state.leaving.iter().map(|(kept, _)| kept);
            let others: Vec<&Kept> = current.chain(leaving).collect();
            if others
                .iter()
                .all(|other| other.directory.id() != old.directory.id())
            {
                self.offers.remove(old.directory.id());
            }
            if let (Some(build), Some(home)) = (&old.build, self.home.get())
                && others
                    .iter()
                    .all(|other| other.build.as_ref() != Some(build))
            {
                failures.extend(home.remove(build).err());
            }
        }
        failures
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A build that is under way, and so is not removed.
#[derive(Debug)]
pub(super) struct Reserved {
    shelf: Arc<Shelf>,
    name: String,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.shelf.lock();
        let mut names = state.reserved.iter();
        if let Some(place) = names.position(|name| *name == self.name) {
            state.reserved.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::directory::tests::sample;

    struct Shelves {
        folder: tempfile::TempDir,
        offers: Arc<Offers>,
        shelf: Arc<Shelf>,
    }

    impl Shelves {
        fn new(max_builds: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let offers = Arc::<Offers>::default();
            let shelf = Arc::new(Shelf::new(Arc::clone(&offers), max_builds));
            shelf.home.set(Home::open(folder.path()).unwrap()).unwrap();
            Self {
                folder,
                offers,
                shelf,
            }
        }

        /// Builds this, and gives it to whoever asks for the source.
        fn build(&self, source: &str, name: &str) -> Arc<Directory> {
            let home = self.shelf.home.get().unwrap();
            let folder = home.build(name);
            if !folder.exists() {
                fs::create_dir(&folder).unwrap();
                sample(&folder, name);
                std::os::unix::fs::symlink("/nix/store", home.root(name)).unwrap();
            }
            home.give(name).unwrap();
            let directory = Directory::open(&folder).unwrap();
            let source = Source::Profile(source.into());
            self.shelf.put(&source, directory, Some(name.into()))
        }

        /// Whether the build is there, in all its parts.
        fn has(&self, name: &str) -> bool {
            let parts = ["builds", "roots", "given"];
            let parts = parts.map(|part| self.folder.path().join(part).join(name));
            let there = parts.map(|part| part.symlink_metadata().is_ok());
            assert!(
                there.iter().all(|part| *part == there[0]),
                "{name}: {there:?}"
            );
            there[0]
        }

        async fn pass(&self, time: Duration) {
            tokio::time::advance(time).await;
            let failures = self.shelf.sweep();
            assert!(failures.is_empty(), "{failures:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_newer_build_replaced_is_removed_after_an_hour() {
        let shelves = Shelves::new(8);
        let old = shelves.build("a", "old");
        shelves.build("a", "new");
        shelves.pass(LINGER - Duration::from_secs(1)).await;
        assert!(shelves.has("old"));
        shelves.pass(Duration::from_secs(1)).await;
        assert!(!shelves.has("old") && shelves.has("new"));
        assert!(shelves.offers.get(old.id().as_str()).is_none());
        shelves.pass(LINGER * 10).await;
        assert!(shelves.has("new"), "it is the newest");
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_no_rule_names_is_let_go_after_an_hour() {
        let shelves = Shelves::new(8);
        let built = shelves.build("a", "built");
        let [old, new] = ["old", "new"].map(|name| {
            let folder = shelves.folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            sample(&folder, name);
            let directory = Directory::open(&folder).unwrap();
            let source = Source::Directory(folder);
            (shelves.shelf.put(&source, directory, None), source)
        });
        shelves.shelf.keep_only(&[&new.1]);
        let is_offered = |directory: &Directory| {
            let id = directory.id().as_str();
            shelves.offers.get(id).is_some()
        };
        shelves.pass(LINGER - Duration::from_secs(1)).await;
        assert!(is_offered(&old.0));
        shelves.pass(Duration::from_secs(1)).await;
        assert!(!is_offered(&old.0) && is_offered(&new.0) && is_offered(&built));

        // Whoever asked by the rules of before gets it all the same.
        let Source::Directory(folder) = &old.1 else {
            panic!("it is a directory")
        };
        let late = Directory::open(folder).unwrap();
        let late = shelves.shelf.put(&old.1, late, None);
        assert!(is_offered(&late));
        shelves.pass(LINGER).await;
        assert!(!is_offered(&late) && is_offered(&new.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_source_gives_or_a_build_needs_stays() {
        let shelves = Shelves::new(8);
        shelves.build("a", "old");
        shelves.build("b", "old");
        shelves.build("a", "new");
        shelves.pass(LINGER).await;
        assert!(shelves.has("old"), "b gives it");

        shelves.build("b", "new");
        let (reserved, built) = shelves.shelf.reserve("old");
        assert!(built.is_some());
        shelves.pass(LINGER).await;
        assert!(shelves.has("old"), "a build is under way");
        drop(reserved);
        shelves.pass(Duration::ZERO).await;
        assert!(!shelves.has("old"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_sources_that_builds_are_kept_of_has_a_bound() {
        let shelves = Shelves::new(2);
        for name in ["a", "b", "c"] {
            shelves.build(name, name);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        shelves.pass(LINGER).await;
        let there = ["a", "b", "c"].map(|name| shelves.has(name));
        assert_eq!(there, [false, true, true]);
    }
}
