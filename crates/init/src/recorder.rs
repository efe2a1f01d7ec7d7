//! Records a boot profile: which files of the store the booted system opens, in the order of first use.
//!
//! A process of its own, which stage 1 leaves behind, is told by the kernel (fanotify) of each file that is opened on the
//! store's file system. It writes what it knows to `/run/storeboot/profile`, twice a second at most, and ends when there is a
//! file `profile.stop` beside it, which it removes when the profile is complete.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;

use crate::console::Console;
use crate::sys::{self, Errno, Fd, FileKind, Open, Poll, Watch};

const FOLDER: &CStr = c"/run/storeboot";
const PROFILE: &CStr = c"profile";
const UNFINISHED: &CStr = c"profile.new";
const STOP: &CStr = c"profile.stop";
const HEADER: &[u8] = b"storeboot profile 1\n";

/// How often to write the profile, and to look whether to stop.
const PERIOD: Duration = Duration::from_millis(500);
/// Bytes of a profile at most: what is opened later is left out. It bounds the memory, and is less than a build takes.
const MAX_BYTES: usize = 16 << 20;
/// Files of a profile at most, as a build takes.
const MAX_FILES: usize = 200_000;

/// Starts to record. Where that is not possible, a warning says so and the boot goes on.
pub(crate) fn start(console: &Console) {
    let watch = match Watch::of_file_system(c"/nix/store") {
        Ok(watch) => watch,
        Err(errno) => {
            let needs = match errno {
                Errno::ENOSYS => ": the kernel needs CONFIG_FANOTIFY",
                _ => "",
            };
            console.warning(&format_args!(
                "storeboot.profile: cannot record which files are opened ({errno}){needs}"
            ));
            return;
        }
    };
    let folder = sys::mkdir(FOLDER).and_then(|()| sys::open(FOLDER, Open::Directory));
    let folder = match folder {
        Ok(folder) => folder,
        Err(errno) => {
            console.warning(&format_args!(
                "storeboot.profile: cannot make /run/storeboot: {errno}"
            ));
            return;
        }
    };
    match sys::fork() {
        Ok(true) => {
            sys::own_session();
            record(watch, &folder);
            sys::exit(0);
        }
        Ok(false) => console.step(format_args!("recording to /run/storeboot/profile")),
        Err(errno) => console.warning(&format_args!(
            "storeboot.profile: cannot start the recorder: {errno}"
        )),
    }
}

/// Records until it is told to stop.
fn record(mut watch: Watch, folder: &Fd) {
    let mut record = Record::default();
    let mut written = usize::MAX;
    loop {
        let stop = sys::lstat_at(folder, STOP).is_ok();
        // What was opened before the request to stop is in the queue.
        let _ = record.take(&mut watch);
        if stop || record.text.len() != written {
            // Without room in /run, the next try may succeed.
            if write(folder, &record.text).is_ok() {
                written = record.text.len();
            }
        }
        if stop {
            let _ = sys::remove_at(folder, STOP, false);
            return;
        }
        // Lets files gather: a wakeup for each of them would slow down the boot.
        sys::sleep(PERIOD);
        let _ = sys::poll(&mut [Poll::to_read(watch.queue())], Some(PERIOD));
    }
}

/// Writes the profile, whole or not at all.
fn write(folder: &Fd, text: &[u8]) -> Result<(), Errno> {
    let _ = sys::remove_at(folder, UNFINISHED, false);
    let file = sys::create_at(folder, UNFINISHED)?;
    for mut part in [HEADER, text] {
        while !part.is_empty() {
            part = &part[file.write(part)?..];
        }
    }
    sys::rename_at(folder, UNFINISHED, PROFILE)
}

/// What was opened.
#[derive(Default)]
struct Record {
    /// The files' device and inode numbers would need another call; paths tell them apart as well.
    seen: BTreeSet<Vec<u8>>,
    /// The lines of the profile.
    text: Vec<u8>,
}

impl Record {
    /// Takes all files from the queue.
    fn take(&mut self, watch: &mut Watch) -> Result<(), Errno> {
        let folder = sys::open(c"/proc/self/fd", Open::Directory)?;
        let mut path = [0; 4096];
        loop {
            let opened = watch.opened()?;
            if opened.is_empty() {
                return Ok(());
            }
            for opened in opened {
                if !is_file(opened.file()) {
                    continue;
                }
                let Ok(name) = crate::paths::c_path(&format!("{}", opened.file().number())) else {
                    continue;
                };
                if let Ok(length) = sys::read_link_at(&folder, &name, &mut path) {
                    self.add(&path[..length]);
                }
            }
        }
    }

    fn add(&mut self, path: &[u8]) {
        let Some(line) = line(path) else { return };
        if self.seen.len() == MAX_FILES || self.text.len() + line.len() >= MAX_BYTES {
            return;
        }
        if self.seen.insert(line.into()) {
            self.text.extend_from_slice(line);
            self.text.push(b'\n');
        }
    }
}

fn is_file(file: &Fd) -> bool {
    file.stat().is_ok_and(|stat| stat.kind == FileKind::File)
}

/// The line of a profile for this path: what follows the hash. Services may see the store at another place, below the
/// root of their own.
fn line(path: &[u8]) -> Option<&[u8]> {
    const STORE: &[u8] = b"/nix/store/";
    /// A hash in base 32 and the hyphen.
    const HASH: usize = 33;
    let at = path.windows(STORE.len()).position(|part| part == STORE)?;
    let (hash, line) = path[at + STORE.len()..].split_at_checked(HASH)?;
    let sound = hash.ends_with(b"-") && !hash.contains(&b'/') && !line.is_empty();
    (sound && !line.iter().any(u8::is_ascii_control)).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_follows_the_hash() {
        let hash = "1b9p07z77phvv2hf6gm9f28syp39f1ag";
        let of = |text: &str| line(text.replace("HASH", hash).as_bytes()).map(<[u8]>::to_vec);
        assert_eq!(of("/nix/store/HASH-a-1/bin/x"), Some(b"a-1/bin/x".to_vec()));
        assert_eq!(of("/r/nix/store/HASH-a.conf"), Some(b"a.conf".to_vec()));
        for other in [
            "/etc/passwd",
            "/nix/store/nix-path-registration",
            "/nix/store/.links/0123456789abcdefghijklmnopqrst/x",
            "/nix/store/HASH-",
            "/nix/store/HASH-a/b\nc",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_is_recorded_once() {
        let mut record = Record::default();
        let path = |name: &str| format!("/nix/store/{}-{name}", "0".repeat(32));
        for name in ["b", "a", "b"] {
            record.add(path(name).as_bytes());
        }
        assert_eq!(record.text, b"b\na\n");
    }

    #[test]
    fn the_profile_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = crate::paths::c_path(folder.path().to_str().unwrap()).unwrap();
        let open = sys::open(&path, Open::Directory).unwrap();
        for text in ["a\n", "a\nb\n"] {
            write(&open, text.as_bytes()).unwrap();
            let found = std::fs::read(folder.path().join("profile")).unwrap();
            assert_eq!(found, [HEADER, text.as_bytes()].concat());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
