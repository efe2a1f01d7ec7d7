//! The archives that one machine gets behind its initrd, and nobody else.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::Error;
use crate::held::Held;

/// So long a machine can load its archives after it got its script.
const TIME: Duration = Duration::from_secs(3600);
/// So many of its latest scripts a machine can use.
const MAX_OF_ADDRESS: usize = 8;
/// So many scripts with archives can be used at once; the oldest goes when another comes.
const MAX: usize = 10_000;

/// The archives of the scripts that were written lately.
#[derive(Debug, Default)]
pub(super) struct Archives {
    scripts: Mutex<HashMap<Token, Script>>,
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
    written: Instant,
    archives: Vec<(String, Arc<Held>)>,
}

impl Archives {
    /// Offers archives to a machine that gets its script now. Returns the path of each URL.
    pub(super) fn offer(
        &self,
        address: IpAddr,
        archives: &[PathBuf],
    ) -> Result<Vec<String>, Error> {
        if archives.is_empty() {
            return Ok(Vec::new());
        }
        let held = archives.iter().enumerate();
        let archives: Vec<(String, Arc<Held>)> = held
            .map(|(number, path)| Ok((name(number, path), Arc::new(Held::open(path)?))))
            .collect::<Result<_, Error>>()?;
        let token = token()?;
        let paths = archives
            .iter()
            .map(|(name, _)| format!("/archive/{}/{name}", token.0))
            .collect();
        let script = Script {
            address,
            written: Instant::now(),
            archives,
        };
        self.keep(token, script);
        Ok(paths)
    }

    fn keep(&self, token: Token, script: Script) {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.retain(|_, script| script.written.elapsed() < TIME);
        let of_address = scripts
            .values()
            .filter(|known| known.address == script.address)
            .count();
        let is_rival = |known: &Script| match of_address >= MAX_OF_ADDRESS {
            true => known.address == script.address,
            false => scripts.len() >= MAX,
        };
        let oldest = scripts
            .iter()
            .filter(|(_, known)| is_rival(known))
            .min_by_key(|(_, known)| known.written)
            .map(|(token, _)| token.clone());
        if let Some(oldest) = oldest {
            scripts.remove(&oldest);
        }
        scripts.insert(token, script);
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
            .offer(address(1), &[secret.clone(), secret])
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
        let other = archives.offer(address(1), &secret).unwrap();
        let first = archives.offer(address(2), &secret).unwrap();
        let mut last = Vec::new();
        for _ in 0..MAX_OF_ADDRESS {
            last = archives.offer(address(2), &secret).unwrap();
        }
        let has = |number, paths: &[String]| {
            let (token, name) = parts(&paths[0]);
            archives.get(address(number), token, name).is_some()
        };
        assert!(has(1, &other) && has(2, &last));
        assert!(!has(2, &first));
    }

    #[test]
    fn an_archive_that_is_not_there_is_an_error() {
        let error = Archives::default()
            .offer(address(1), &["/nonexistent/keys".into()])
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nonexistent/keys cannot be read"),
            "{error}"
        );
    }
}
