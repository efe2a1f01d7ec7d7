//! The archives that one machine gets behind its initrd, and nobody else.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::held::Held;
use crate::{Error, Mac};

/// So long a machine can load its archives after it got its script.
const TIME: Duration = Duration::from_secs(3600);
/// So many of its latest scripts a machine can use.
const MAX_OF_MACHINE: usize = 8;
/// So many of the latest scripts can be used at one address: hundreds of machines may be behind it, and whoever makes up
/// MACs there takes nothing from machines at other addresses.
const MAX_OF_ADDRESS: usize = 1024;
/// So many scripts with archives can be used at once; the oldest goes when another comes.
const MAX: usize = 10_000;

/// The archives of the scripts that were written lately.
#[derive(Debug, Default)]
pub(super) struct Archives {
    scripts: Mutex<HashMap<Token, Script>>,
    /// The files that are open for them.
    files: Mutex<HashMap<PathBuf, Weak<Held>>>,
}

/// What a URL of an archive has that nobody can guess.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Token(String);

/// Whoever has the token has the secret, so that a log must not have it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[derive(Debug)]
struct Script {
    address: IpAddr,
    mac: Option<Mac>,
    written: Instant,
    archives: Vec<(String, Arc<Held>)>,
}

impl Archives {
    /// Offers archives to a machine that gets its script now. Returns the path of each URL.
    pub(super) fn offer(
        &self,
        address: IpAddr,
        mac: Option<Mac>,
        archives: &[PathBuf],
    ) -> Result<Vec<String>, Error> {
        if archives.is_empty() {
            return Ok(Vec::new());
        }
        let held = archives.iter().enumerate();
        let archives: Vec<(String, Arc<Held>)> = held
            .map(|(number, path)| Ok((name(number, path), self.hold(path)?)))
            .collect::<Result<_, Error>>()?;
        let token = token()?;
        let paths = archives
            .iter()
            .map(|(name, _)| format!("/archive/{}/{name}", token.0))
            .collect();
        let script = Script {
            address,
            mac,
            written: Instant::now(),
            archives,
        };
        self.keep(token, script);
        Ok(paths)
    }

    fn keep(&self, token: Token, script: Script) {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.retain(|_, script| script.written.elapsed() < TIME);
        let is_near = |known: &Script| known.address == script.address;
        make_room(&mut scripts, MAX_OF_MACHINE, |known| {
            is_near(known) && known.mac == script.mac
        });
        make_room(&mut scripts, MAX_OF_ADDRESS, is_near);
        make_room(&mut scripts, MAX, |_| true);
        scripts.insert(token, script);
    }

    /// Opens an archive, or takes the file that is open for another script and still the same.
    fn hold(&self, path: &Path) -> Result<Arc<Held>, Error> {
        let opened = Held::open(path)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, held| held.strong_count() > 0);
        if let Some(held) = files.get(path).and_then(Weak::upgrade)
            && held.is_same(&opened)
        {
            return Ok(held);
        }
        let held = Arc::new(opened);
        files.insert(path.into(), Arc::downgrade(&held));
        Ok(held)
    }

    /// The archive of a URL, for the machine that it was written for.
    pub(super) fn get(&self, address: IpAddr, token: &str, name: &str) -> Option<Arc<Held>> {
        let scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let script = scripts.get(&Token(token.into()))?;
        if script.address != address || script.written.elapsed() >= TIME {
            return None;
        }
        let mut archives = script.archives.iter();
        archives
            .find(|(known, _)| known == name)
            .map(|(_, held)| Arc::clone(held))
    }
}

/// Removes the oldest of some scripts where there are as many of them as there may be, so that one more has room.
fn make_room(scripts: &mut HashMap<Token, Script>, most: usize, counts: impl Fn(&Script) -> bool) {
    let counted = || scripts.iter().filter(|(_, script)| counts(script));
    if counted().count() < most {
        return;
    }
    let oldest = counted().min_by_key(|(_, script)| script.written);
    if let Some(oldest) = oldest.map(|(token, _)| token.clone()) {
        scripts.remove(&oldest);
    }
}

/// The name of an archive in its URL, which iPXE takes as the name of the file: no two of a script have the same.
fn name(number: usize, path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    let plain = name
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c));
    format!("{}-{}", number + 1, plain.take(64).collect::<String>())
}

fn token() -> Result<Token, Error> {
    let mut random = [0_u8; 16];
    match getrandom(&mut random, GetRandomFlags::empty()) {
        Ok(count) if count == random.len() => Ok(Token(HEXLOWER.encode(&random))),
        Ok(_) => Err(Error::Random(std::io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(Error::Random(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    fn parts(path: &str) -> (&str, &str) {
        path.strip_prefix("/archive/")
            .unwrap()
            .split_once('/')
            .unwrap()
    }

    #[test]
    fn only_the_machine_of_the_script_gets_its_archives() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("key s.cpio");
        fs::write(&secret, "secret").unwrap();
        let archives = Archives::default();
        let paths = archives
            .offer(address(1), None, &[secret.clone(), secret])
            .unwrap();
        let (token, name) = parts(&paths[0]);
        assert_eq!((token.len(), name), (32, "1-keys.cpio"));
        assert!(paths[1].ends_with("/2-keys.cpio"));
        assert_eq!(archives.get(address(1), token, name).unwrap().size(), 6);
        assert!(archives.get(address(2), token, name).is_none());
        assert!(archives.get(address(1), token, "3-keys.cpio").is_none());
        assert!(archives.get(address(1), "0123", name).is_none());
    }

    #[test]
    fn a_machine_that_asks_often_takes_nothing_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let secret = [folder.path().join("keys.cpio")];
        fs::write(&secret[0], "secret").unwrap();
        let archives = Archives::default();
        let offer = |number, mac| {
            let mac = Some(Mac([0, 0, 0, 0, 0, mac]));
            archives.offer(address(number), mac, &secret).unwrap()
        };
        let others = [offer(1, 1), offer(2, 2)];
        let first = offer(2, 1);
        let mut last = Vec::new();
        for _ in 0..MAX_OF_MACHINE {
            last = offer(2, 1);
        }
        let has = |number, paths: &[String]| {
            let (token, name) = parts(&paths[0]);
            archives.get(address(number), token, name).is_some()
        };
        assert!(has(1, &others[0]) && has(2, &others[1]) && has(2, &last));
        assert!(!has(2, &first));
        let open = archives.files.lock().unwrap();
        assert_eq!(open[&secret[0]].strong_count(), 10, "one file for all");
    }

    #[test]
    fn an_archive_that_is_replaced_is_another_for_the_next_machine() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("keys.cpio");
        let archives = Archives::default();
        let size = |content: &str| {
            fs::write(folder.path().join("new"), content).unwrap();
            fs::rename(folder.path().join("new"), &secret).unwrap();
            let paths = archives
                .offer(address(1), None, std::slice::from_ref(&secret))
                .unwrap();
            let (token, name) = parts(&paths[0]);
            archives.get(address(1), token, name).unwrap().size()
        };
        assert_eq!((size("old"), size("newer")), (3, 5));
    }

    #[test]
    fn many_machines_behind_one_address_have_room_and_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let secret = [folder.path().join("keys.cpio")];
        fs::write(&secret[0], "secret").unwrap();
        let archives = Archives::default();
        let machines = u16::try_from(MAX_OF_ADDRESS + 1).unwrap();
        let paths: Vec<String> = (0..machines)
            .map(|machine| {
                let [high, low] = machine.to_be_bytes();
                let mac = Some(Mac([0, 0, 0, 0, high, low]));
                let mut paths = archives.offer(address(1), mac, &secret).unwrap();
                paths.remove(0)
            })
            .collect();
        let has = |path: &String| {
            let (token, name) = parts(path);
            archives.get(address(1), token, name).is_some()
        };
        assert!(!has(&paths[0]) && paths[1..].iter().all(has));
    }

    #[test]
    fn an_archive_that_is_not_there_is_an_error() {
        let error = Archives::default()
            .offer(address(1), None, &["/nonexistent/keys".into()])
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nonexistent/keys cannot be read"),
            "{error}"
        );
    }
}
