use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::{Node, Tree};
use crate::Error;

/// The deepest nesting of directories. A path on disk has room for half as many, but a broken image may have a
/// directory that contains itself.
const MAX_DEPTH: usize = 4096;

/// Bytes of a file that are in memory at once.
const BUFFER: usize = 64 * 1024;

/// Writes the file `root` of a tree as a NAR and returns the NAR's size. Messages call the file `name`.
///
/// ```
/// use std::path::Path;
/// use storeboot_closure::nar::{Disk, write};
///
/// let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
/// let mut nar = Vec::new();
/// let size = write(&mut Disk, path.clone(), &path, &mut nar)?;
/// assert_eq!(size, nar.len() as u64);
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn write<T: Tree>(
    tree: &mut T,
    root: T::Id,
    name: &Path,
    writer: &mut impl Write,
) -> Result<u64, Error> {
    let mut nar = Nar {
        writer,
        size: 0,
        buffer: vec![0; BUFFER],
    };
    nar.string(b"nix-archive-1")?;
    let mut path = name.to_owned();
    // The directories around the current file, each with its remaining entries. Not a recursion: a broken image must
    // not overflow the thread's stack.
    let mut open: Vec<IntoIter<(Vec<u8>, T::Id)>> = Vec::new();
    open.extend(nar.node(tree, &root, &path)?);
    while let Some(directory) = open.last_mut() {
        match directory.next() {
            Some((name, id)) => {
                nar.strings(&[b"entry", b"(", b"name", &name, b"node"])?;
                path.push(OsStr::from_bytes(&name));
                match nar.node(tree, &id, &path)? {
                    Some(_) if open.len() == MAX_DEPTH => {
                        let reason = format!("it is in more than {MAX_DEPTH} directories");
                        return Err(Error::NotForNar { path, reason });
                    }
                    Some(entries) => open.push(entries),
                    None => {
                        nar.string(b")")?;
                        path.pop();
                    }
                }
            }
            None => {
                open.pop();
                nar.string(b")")?;
                if !open.is_empty() {
                    nar.string(b")")?;
                    path.pop();
                }
            }
        }
    }
    Ok(nar.size)
}

struct Nar<'a, W> {
    writer: &'a mut W,
    size: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Nar<'_, W> {
    /// Writes a file. Of a directory, writes the beginning and returns its entries in order.
    #[expect(clippy::type_complexity, reason = "the type is written only here")]
    fn node<T: Tree>(
        &mut self,
        tree: &mut T,
        id: &T::Id,
        path: &Path,
    ) -> Result<Option<IntoIter<(Vec<u8>, T::Id)>>, Error> {
        let node = tree.node(id).map_err(|source| Error::Tree {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        self.strings(&[b"(", b"type"])?;
        match node {
            Node::Directory(mut entries) => {
                self.string(b"directory")?;
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                check_names(&entries, path)?;
                return Ok(Some(entries.into_iter()));
            }
            Node::Symlink(target) => self.strings(&[b"symlink", b"target", &target])?,
            Node::File {
                executable,
                size,
                data,
            } => {
                self.string(b"regular")?;
                if executable {
                    self.strings(&[b"executable", b""])?;
                }
                self.string(b"contents")?;
                self.data(size, data, path)?;
            }
        }
        self.string(b")")?;
        Ok(None)
    }

    fn strings(&mut self, strings: &[&[u8]]) -> Result<(), Error> {
        strings.iter().try_for_each(|string| self.string(string))
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn data(&mut self, size: u64, mut data: impl Read, path: &Path) -> Result<(), Error> {
        let changed = |reason: String| Error::NotForNar {
            path: path.to_owned(),
            reason,
        };
        self.put(&size.to_le_bytes())?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut got = 0;
        loop {
            let n = match data.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => {
                    let path = path.to_owned();
                    return Err(Error::File { path, source });
                }
            };
            got += n as u64;
            if got > size {
                return Err(changed(format!("it has more than its {size} bytes")));
            }
            self.put(&buffer[..n])?;
        }
        self.buffer = buffer;
        if got < size {
            return Err(changed(format!("it ends after {got} of its {size} bytes")));
        }
        self.pad(size)
    }

    fn pad(&mut self, length: u64) -> Result<(), Error> {
        self.put(&[0; 8][..(length.wrapping_neg() % 8) as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        self.writer
            .write_all(bytes)
            .map_err(|source| Error::Write { source })
    }
}

/// Refuses names with which two trees would have the same NAR, or with which no tree could be unpacked.
fn check_names<Id>(entries: &[(Vec<u8>, Id)], path: &Path) -> Result<(), Error> {
    let wrong = |name: &[u8], reason: &str| Error::NotForNar {
        path: PathBuf::from(path),
        reason: format!("{reason} ({:?})", OsStr::from_bytes(name)),
    };
    for (name, _) in entries {
        if matches!(name.as_slice(), b"" | b"." | b"..")
            || name.iter().any(|b| matches!(b, 0 | b'/'))
        {
            return Err(wrong(name, "it has a file with an impossible name"));
        }
    }
    match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(wrong(&pair[0].0, "it has two files with the same name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A directory that contains itself, or a file whose content does not have its size.
    enum Broken {
        Endless(Vec<&'static [u8]>),
        File { size: u64, data: &'static [u8] },
    }

    impl Tree for Broken {
        type Id = ();
        type Data<'a> = &'static [u8];
        type Error = io::Error;

        fn node(&mut self, (): &()) -> io::Result<Node<(), &'static [u8]>> {
            Ok(match self {
                Self::Endless(names) => {
                    Node::Directory(names.iter().map(|name| (name.to_vec(), ())).collect())
                }
                Self::File { size, data } => Node::File {
                    executable: false,
                    size: *size,
                    data,
                },
            })
        }
    }

    fn error(mut tree: Broken) -> String {
        write(&mut tree, (), Path::new("root"), &mut io::sink())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn broken_trees_are_errors() {
        let text = error(Broken::Endless(vec![b"d"]));
        assert!(text.ends_with("it is in more than 4096 directories"));
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            let text = error(Broken::Endless(vec![b"fine", name]));
            assert!(
                text.contains("root: it has a file with an impossible name"),
                "{text}"
            );
        }
        let text = error(Broken::Endless(vec![b"b", b"a", b"b"]));
        assert_eq!(
            text,
            "cannot hash root: it has two files with the same name (\"b\")"
        );
        let text = error(Broken::File {
            size: 3,
            data: b"ab",
        });
        assert_eq!(text, "cannot hash root: it ends after 2 of its 3 bytes");
        let text = error(Broken::File {
            size: 1,
            data: b"ab",
        });
        assert_eq!(text, "cannot hash root: it has more than its 1 bytes");
    }
}
