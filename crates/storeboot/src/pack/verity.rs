//! The tree of dm-verity behind a store image.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use storeboot_index::{SUPERBLOCK_LEN, Verity};
use storeboot_verity::{BLOCK, Shape, TreeWriter};

use crate::digest::hex;
use crate::{Context, Error};

/// Bytes that are hashed for the image and for the tree at the same time.
const STRETCH: u64 = 8 << 20;
/// What salts are derived with, so that nothing else has the same.
const SALT: &[u8] = b"storeboot 2026-11: the salt of a store image's tree of dm-verity";

/// The salt of an image that begins with this superblock.
///
/// It must be known before the image is read, and be the same for the same image. The superblock has the sizes of the
/// image and of its tables, so images hardly ever share a salt. It is no secret: root hash and salt are said together.
pub(crate) fn salt(superblock: &[u8; SUPERBLOCK_LEN]) -> [u8; 32] {
    let salted = Sha256::new_with_prefix(SALT);
    salted.chain_update(superblock).finalize().into()
}

/// Bytes that an image may have where it must not be larger than `limit` with its tree.
pub(crate) fn data_limit(limit: u64) -> u64 {
    let whole = limit - limit % BLOCK as u64;
    match Shape::of(whole) {
        // A smaller image has no larger tree.
        Ok(shape) => whole.saturating_sub(shape.tree_size()),
        Err(_) => whole,
    }
}

/// Makes the tree of an image, and writes it behind the image. What is read of the image goes to `also`, too.
pub(crate) fn append(
    path: &Path,
    salt: [u8; 32],
    also: &mut (impl Write + Send),
    context: &Context<'_>,
) -> Result<Verity, Error> {
    let mut image = File::open(path).map_err(Error::read(path))?;
    let data_size = image.metadata().map_err(Error::read(path))?.len();
    let tree = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(Error::write(path))?;
    let pass = Pass {
        path,
        salt: &salt,
        context,
    };
    let tree = (tree, data_size);
    let root = pass.run(&mut image, data_size, tree, Error::write(path), also)?;
    Ok(Verity {
        data_size,
        salt,
        root,
    })
}

/// Compares the tree of the image at `offset` in a file with its data, and with the root hash. What is read of the data
/// goes to `also`, too. The inner error says what differs.
pub(crate) fn check(
    path: &Path,
    offset: u64,
    verity: &Verity,
    also: &mut (impl Write + Send),
    context: &Context<'_>,
) -> Result<Result<(), String>, Error> {
    let mut image = File::open(path).map_err(Error::read(path))?;
    image
        .seek(SeekFrom::Start(offset))
        .map_err(Error::read(path))?;
    let mut comparison = Comparison {
        file: image.try_clone().map_err(Error::read(path))?,
        begin: offset.saturating_add(verity.data_size),
        position: 0,
        found: Vec::new(),
        difference: None,
    };
    let pass = Pass {
        path,
        salt: &verity.salt,
        context,
    };
    let tree = (&mut comparison, 0);
    let data_size = verity.data_size;
    let root = pass.run(&mut image, data_size, tree, Error::read(path), also)?;
    Ok(match comparison.difference {
        Some(place) => Err(format!(
            "its hash tree of dm-verity is not that of its data: the block of the tree at byte {place} differs"
        )),
        None if root != verity.root => Err(format!(
            "its hash tree of dm-verity has the root hash {}, and {} is expected",
            hex(&root),
            hex(&verity.root)
        )),
        None => Ok(()),
    })
}

/// One reading of an image.
struct Pass<'a> {
    path: &'a Path,
    salt: &'a [u8; 32],
    context: &'a Context<'a>,
}

/// What failed.
enum Failure {
    Read(io::Error),
    Tree(io::Error),
}

impl Pass<'_> {
    /// Reads the data, writes its tree at the byte `start` of `tree`, and returns the root hash.
    fn run(
        &self,
        data: &mut File,
        data_size: u64,
        (tree, start): (impl Write + Seek + Send, u64),
        tree_error: impl FnOnce(io::Error) -> Error,
        also: &mut (impl Write + Send),
    ) -> Result<[u8; 32], Error> {
        let refuse = |error: storeboot_verity::Error| Error::Inconsistent(error.to_string());
        let shape = Shape::of(data_size).map_err(refuse)?;
        let mut tree = TreeWriter::new(shape, self.salt, tree, start).map_err(refuse)?;
        let mut data = self.context.token().watch(data).take(data_size);
        let mut stretch = Vec::new();
        let hash_all = || {
            loop {
                stretch.clear();
                let read = data.by_ref().take(STRETCH).read_to_end(&mut stretch);
                if read.map_err(Failure::Read)? == 0 {
                    break;
                }
                // The tree is hashed on all threads that the other hashes leave free.
                let (hashed, grown) =
                    rayon::join(|| also.write_all(&stretch), || tree.write_all(&stretch));
                hashed.map_err(Failure::Read)?;
                grown.map_err(Failure::Tree)?;
            }
            tree.finish().map_err(|error| match error {
                storeboot_verity::Error::Write(error) => Failure::Tree(error),
                error => Failure::Read(io::Error::other(error)),
            })
        };
        let root = self.context.pool()?.install(hash_all);
        root.map_err(|failure| match failure {
            Failure::Read(error) => Error::read(self.path)(error),
            Failure::Tree(error) => tree_error(error),
        })
    }
}

/// Takes a tree, and compares it with the one that is there.
struct Comparison {
    file: File,
    /// Where that one begins in the file.
    begin: u64,
    position: u64,
    found: Vec<u8>,
    /// The first byte of the first block that differs.
    difference: Option<u64>,
}

impl Write for Comparison {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        self.found.resize(block.len(), 0);
        let place = self.begin.saturating_add(self.position);
        self.file.read_exact_at(&mut self.found, place)?;
        if self.found != block && self.difference.is_none_or(|place| place > self.position) {
            self.difference = Some(self.position);
        }
        self.position += block.len() as u64;
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Comparison {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(position) => self.position = position,
            SeekFrom::Current(_) | SeekFrom::End(_) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::image_files::MEMBER_MAX;

    #[test]
    fn an_image_with_its_tree_is_within_the_limit_and_wastes_little() {
        for limit in [
            4096,
            4097,
            8192,
            129 * 4096,
            1 << 20,
            (1 << 20) + 4095,
            2 << 30,
            (4 << 30) - 4096,
            1 << 40,
            u64::MAX,
        ] {
            let most = data_limit(limit);
            assert_eq!(most % 4096, 0);
            let shape = Shape::of(most).expect("blocks");
            let whole = most.checked_add(shape.tree_size()).expect("a size");
            assert!(whole <= limit, "{limit}: {whole}");
            // At most a page, and the tree of a tree.
            assert!(
                limit - whole < 2 * 4096 + limit / 10_000,
                "{limit}: {whole}"
            );
        }
        assert_eq!(data_limit(4095), 0);
    }

    #[test]
    fn a_tree_takes_at_most_a_hundredth() {
        let tree = |data: u64| Shape::of(data).expect("blocks").tree_size();
        for data in [
            8_u64 << 20,
            100 << 20,
            (1 << 30) + 4096,
            MEMBER_MAX,
            1 << 40,
        ] {
            assert!(tree(data) * 100 <= data, "{data}");
        }
        // Each level may end with a block that is not full, which counts for small images.
        for blocks in 1..2048 {
            let data = blocks * 4096;
            assert!(tree(data) <= data / 100 + 2 * 4096, "{blocks} blocks");
        }
    }

    #[test]
    fn the_index_reckons_with_the_size_that_the_tree_has() {
        for blocks in [1, 2, 127, 128, 129, 16_384, 16_385, 2_097_153, 1 << 30] {
            let verity = Verity {
                data_size: blocks * 4096,
                salt: [0; 32],
                root: [0; 32],
            };
            let shape = Shape::of(verity.data_size).expect("blocks");
            assert_eq!(verity.tree_size(), Some(shape.tree_size()), "{blocks}");
        }
    }

    #[test]
    fn a_tree_that_was_appended_is_that_of_the_data_until_a_byte_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image");
        let context = Context::new();
        // More than one stretch.
        let blocks = STRETCH as usize / BLOCK + 300;
        let data: Vec<u8> = (0..blocks * BLOCK).map(|at| (at / 4000) as u8).collect();
        let begin = 5;
        std::fs::write(&path, &data).expect("a file");
        let mut passed = Vec::new();
        let verity = append(&path, [7; 32], &mut passed, &context).expect("a tree");
        assert!(passed == data);
        assert_eq!(verity.data_size, data.len() as u64);
        let whole = std::fs::read(&path).expect("a file");
        assert!(whole.starts_with(&data));
        assert_eq!(Some(whole.len() as u64), verity.size());

        // As in an initrd, where it does not begin on a page.
        let put = |whole: &[u8]| {
            let file = [&[0; 5][..], whole, b"behind"].concat();
            std::fs::write(&path, file).expect("a file");
        };
        let check = |verity: &Verity| {
            let checked = check(&path, begin, verity, &mut io::sink(), &context);
            checked.expect("readable")
        };
        put(&whole);
        assert_eq!(check(&verity), Ok(()));
        for at in [0, data.len() - 1, data.len(), whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 0x80;
            put(&changed);
            let reason = check(&verity).expect_err("changed");
            assert!(reason.contains("is not that of its data"), "{at}: {reason}");
        }
        put(&whole);
        let other = Verity {
            root: [0; 32],
            ..verity.clone()
        };
        let reason = check(&other).expect_err("another root hash");
        assert!(reason.contains(&hex(&verity.root)), "{reason}");
        let other = Verity {
            salt: [8; 32],
            ..verity
        };
        assert!(check(&other).is_err());
    }

    #[test]
    fn a_tree_that_is_cut_off_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image");
        let context = Context::new();
        std::fs::write(&path, vec![3; 200 * BLOCK]).expect("a file");
        let verity = append(&path, [7; 32], &mut io::sink(), &context).expect("a tree");
        let whole = std::fs::read(&path).expect("a file");
        for length in [whole.len() - 1, 200 * BLOCK, 200 * BLOCK - 1, 0] {
            std::fs::write(&path, &whole[..length]).expect("a file");
            let error = check(&path, 0, &verity, &mut io::sink(), &context);
            assert!(
                matches!(error, Err(Error::Read { .. })),
                "{length}: {error:?}"
            );
        }
    }

    #[test]
    fn an_image_has_the_same_salt_each_time_and_another_one_has_another() {
        let superblock = [1; SUPERBLOCK_LEN];
        let mut other = superblock;
        other[40] ^= 1;
        assert_eq!(salt(&superblock), salt(&superblock));
        assert_ne!(salt(&superblock), salt(&other));
    }
}
