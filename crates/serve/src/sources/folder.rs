//! Folders that `storeboot build` wrote, and that may be replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storeboot::PublicKey;

use super::{Found, Inner, blocking};
use crate::error::sentence;
use crate::lines::Kind;
use crate::{Directory, Error, Source};

/// A folder that is replaced while it is opened is opened again, so often at most.
const TRIES: usize = 3;

impl Inner {
    /// The directory that was opened, if the folder still holds it.
    pub(super) async fn unchanged(&self, source: &Source, path: &Path) -> Option<Arc<Directory>> {
        let kept = self.shelf.current(source)?.directory;
        let path = path.to_owned();
        blocking(move || {
            let same = Directory::id_at(&path).is_ok_and(|id| id == *kept.id());
            (same && kept.is_intact()).then_some(kept)
        })
        .await?
    }

    /// Opens the folder. Where that cannot be, what was in it before is given, if it is still whole.
    pub(super) async fn open(self: Arc<Self>, source: Source, path: PathBuf) -> Found {
        let old = self.shelf.current(&source).map(|kept| kept.directory);
        let keys = self.keys();
        let opened = blocking(move || {
            let opened = open(&path, &keys);
            // A file that is changed in its place is changed in what is open, too.
            let old = old.filter(|old| opened.is_ok() || old.is_intact());
            (opened, old)
        });
        let (opened, old) = match opened.await {
            Some((Ok(directory), old)) => (Ok(directory), old),
            Some((Err(error), old)) => (Err(sentence(&error)), old),
            None => (Err("the server is ending".into()), None),
        };
        match (opened, old) {
            (Ok(directory), old) => {
                let replaced = old.is_some_and(|old| old.id() != directory.id());
                let directory = self.shelf.put(&source, directory, None);
                if replaced {
                    self.tell_of(
                        &source,
                        Kind::Notice,
                        format!(
                            "{source} was replaced by {}: machines get that from now on",
                            directory.id()
                        ),
                    );
                    self.sweep_later();
                } else {
                    self.is_well(&source);
                }
                Found::Ready(directory)
            }
            (Err(reason), Some(old)) => {
                self.tell_of(
                    &source,
                    Kind::Fault,
                    format!("{reason}; machines get what was there before"),
                );
                Found::Ready(old)
            }
            (Err(reason), None) => Found::Failed { reason },
        }
    }
}

fn open(path: &Path, keys: &[PublicKey]) -> Result<Directory, Error> {
    for _ in 1..TRIES {
        let before = Directory::id_at(path);
        let opened = Directory::open_signed(path, keys);
        let after = Directory::id_at(path);
        match (before, after) {
            (Ok(before), Ok(after)) if before == after => return opened,
            (Err(_), Err(_)) => return opened,
            _ => {}
        }
    }
    Directory::open_signed(path, keys)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::super::Sources;
    use super::*;
    use crate::Offers;
    use crate::directory::tests::sample;

    struct Server {
        folder: tempfile::TempDir,
        source: Source,
        offers: Arc<Offers>,
        sources: Sources,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let offers = Arc::<Offers>::default();
            let told = Arc::new(Mutex::new(Vec::new()));
            let notices = Arc::clone(&told);
            let sources = Sources::with_notices(Arc::clone(&offers), move |_, sentence| {
                notices.lock().unwrap().push(sentence.to_owned());
            });
            Self {
                source: Source::Directory(folder.path().join("result")),
                folder,
                offers,
                sources,
                told,
            }
        }

        /// Replaces the directory, as `storeboot build` does.
        fn replace(&self, kernel: &str) {
            let (new, place) = (self.folder.path().join("new"), self.place());
            fs::create_dir(&new).unwrap();
            sample(&new, kernel);
            // The files that are open stay.
            let _ = fs::remove_dir_all(&place);
            fs::rename(new, place).unwrap();
        }

        fn place(&self) -> PathBuf {
            self.folder.path().join("result")
        }

        async fn find(&self) -> Arc<Directory> {
            match self.sources.find(&self.source).await {
                Found::Ready(directory) => directory,
                other => panic!("{other:?}"),
            }
        }

        fn told(&self) -> Vec<String> {
            std::mem::take(&mut self.told.lock().unwrap())
        }
    }

    fn kernel(directory: &Arc<Directory>) -> String {
        let mut bytes = [0; 64];
        let count = directory.item("bzImage").unwrap().read_at(&mut bytes, 0);
        String::from_utf8(bytes[..count.unwrap()].to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_that_is_replaced_is_opened_anew_and_the_old_one_stays_for_an_hour() {
        let server = Server::new();
        server.replace("old");
        let old = server.find().await;
        assert!(Arc::ptr_eq(&old, &server.find().await), "nothing changed");
        server.replace("new");
        let new = server.find().await;
        assert_eq!((kernel(&old), kernel(&new)), ("old".into(), "new".into()));
        let told = server.told();
        assert!(
            told[0].ends_with(": machines get that from now on"),
            "{told:?}"
        );
        assert_eq!(told.len(), 1);

        let offered = || server.offers.get(old.id().as_str()).is_some();
        tokio::time::sleep(Duration::from_secs(3590)).await;
        server.find().await;
        assert!(offered());
        // Goes by itself.
        tokio::time::sleep(Duration::from_secs(20)).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!offered());
        assert!(server.offers.get(new.id().as_str()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_back_within_the_hour_stays() {
        let server = Server::new();
        server.replace("a");
        let first = server.find().await;
        server.replace("b");
        server.find().await;
        server.replace("a");
        server.find().await;
        tokio::time::sleep(Duration::from_secs(3700)).await;
        server.find().await;
        assert!(server.offers.get(first.id().as_str()).is_some());
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_or_broken_gives_what_was_there_before() {
        let server = Server::new();
        server.replace("good");
        server.find().await;
        fs::remove_dir_all(server.place()).unwrap();
        assert_eq!(kernel(&server.find().await), "good");
        assert_eq!(kernel(&server.find().await), "good");
        let told = server.told();
        assert_eq!(told.len(), 1, "once: {told:?}");
        assert!(told[0].contains("is no netboot directory"), "{told:?}");
        assert!(
            told[0].ends_with("machines get what was there before"),
            "{told:?}"
        );

        server.replace("broken");
        fs::write(server.place().join("bzImage"), "brokeN").unwrap();
        assert_eq!(kernel(&server.find().await), "good");
        let told = server.told();
        assert!(told[0].contains("its SHA-256 is"), "{told:?}");

        server.replace("better");
        assert_eq!(kernel(&server.find().await), "better");
    }

    #[tokio::test]
    async fn a_file_that_is_changed_in_its_place_is_given_to_nobody() {
        let server = Server::new();
        server.replace("kernel");
        server.find().await;
        // Of another length: it may get the same time as what was written before.
        fs::write(server.place().join("bzImage"), "another").unwrap();
        let found = server.sources.find(&server.source).await;
        assert!(matches!(found, Found::Failed { .. }), "{found:?}");
        // The same bytes again, in another file: it is not mistaken for the one that was changed.
        server.replace("kernel");
        assert_eq!(kernel(&server.find().await), "kernel");
    }
}
