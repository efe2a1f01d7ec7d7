//! Parses an [`Index`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{
    HEADER, Image, Index, Layout, MAX_IMAGES, MAX_MODULES, MAX_TEXT, ParseError, Reason, Verity,
    hex, path,
};

impl Index {
    /// Parses an index. Hostile input is safe: this never panics, and takes at most a few times the text's memory.
    ///
    /// ```
    /// use storeboot_index::{Index, Layout, Reason};
    ///
    /// let index = Index::parse(b"storeboot-index 1\nlayout direct\nmemory 1048576\n")?;
    /// assert_eq!(index.layout, Layout::Direct);
    ///
    /// let error = Index::parse(b"storeboot-index 1\nlayuot direct\n").unwrap_err();
    /// assert_eq!(error.to_string(), "line 2: unknown key `layuot`");
    /// # Ok::<(), storeboot_index::ParseError>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let whole = |reason| ParseError { line: 0, reason };
        if text.len() > MAX_TEXT {
            return Err(whole(Reason::TooLong(text.len())));
        }
        let mut draft = Draft::default();
        let mut lines = text.split(|&b| b == b'\n');
        // What follows the last line feed is empty unless the text was cut off.
        let rest = lines.next_back().unwrap_or_default();
        for (number, line) in (1..).zip(lines) {
            let here = |reason| ParseError {
                line: number,
                reason,
            };
            let line = ascii(line).map_err(here)?;
            match number {
                1 if line == HEADER => {}
                1 => return Err(here(Reason::NoHeader)),
                _ => draft.line(line).map_err(here)?,
            }
        }
        if !rest.is_empty() || text.is_empty() {
            return Err(whole(Reason::CutOff));
        }
        draft.finish().map_err(whole)
    }
}

pub(crate) fn ascii(line: &[u8]) -> Result<&str, Reason> {
    match line.iter().find(|b| !matches!(b, b' '..=b'~')) {
        Some(&byte) => Err(Reason::NotAscii(byte)),
        None => str::from_utf8(line).map_err(|_| Reason::NotAscii(0)),
    }
}

/// What the lines so far contain.
#[derive(Default)]
struct Draft {
    layout: Option<Layout>,
    memory: Option<u64>,
    modules: Vec<String>,
    images: Vec<Image>,
}

impl Draft {
    fn line(&mut self, line: &str) -> Result<(), Reason> {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "layout" => {
                let [name] = fields("layout", rest)?;
                set(
                    &mut self.layout,
                    "layout",
                    name.parse().map_err(|_| Reason::UnknownLayout)?,
                )
            }
            "memory" => {
                let [bytes] = fields("memory", rest)?;
                set(&mut self.memory, "memory", number("memory", bytes)?)
            }
            "module" => {
                let [path] = fields("module", rest)?;
                push(
                    &mut self.modules,
                    MAX_MODULES,
                    Reason::TooManyModules,
                    valid(path)?,
                )
            }
            "image" => {
                let [place, path, size, offset, sha256, superblock] = fields("image", rest)?;
                if number("image's number", place)? != self.images.len() as u64 {
                    return Err(Reason::ImageOrder);
                }
                let image = Image {
                    path: valid(path)?,
                    size: number("image's size", size)?,
                    offset: if offset == "-" {
                        None
                    } else {
                        Some(number("image's offset", offset)?)
                    },
                    sha256: hex::decode(sha256).ok_or(Reason::Hex("SHA-256"))?,
                    superblock: hex::decode(superblock).ok_or(Reason::Hex("superblock"))?,
                    verity: None,
                    hot: None,
                };
                push(&mut self.images, MAX_IMAGES, Reason::TooManyImages, image)
            }
            "verity" => {
                let [place, data_size, salt, root] = fields("verity", rest)?;
                let place = number("image's number", place)?;
                let verity = Verity {
                    data_size: number("size of verity's data", data_size)?,
                    salt: hex::decode(salt).ok_or(Reason::Hex("salt"))?,
                    root: hex::decode(root).ok_or(Reason::Hex("root hash"))?,
                };
                let image = self.image(place).ok_or(Reason::VerityImage(place))?;
                verity.check(image.size)?;
                match image.verity.replace(verity) {
                    None => Ok(()),
                    Some(_) => Err(Reason::VerityTwice(place)),
                }
            }
            "hot" => {
                let [place, bytes] = fields("hot", rest)?;
                let place = number("image's number", place)?;
                let bytes = number("number of hot bytes", bytes)?;
                let image = self.image(place).ok_or(Reason::HotImage(place))?;
                check_hot(bytes, image.size)?;
                match image.hot.replace(bytes) {
                    None => Ok(()),
                    Some(_) => Err(Reason::HotTwice(place)),
                }
            }
            _ => Err(Reason::UnknownKey(key.chars().take(40).collect())),
        }
    }

    /// An image that is listed already.
    fn image(&mut self, place: u64) -> Option<&mut Image> {
        self.images.get_mut(usize::try_from(place).ok()?)
    }

    fn finish(self) -> Result<Index, Reason> {
        let index = Index {
            layout: self.layout.ok_or(Reason::Missing("layout"))?,
            memory: self.memory.ok_or(Reason::Missing("memory"))?,
            modules: self.modules,
            images: self.images,
        };
        index.check()?;
        Ok(index)
    }
}

/// Checks that so many bytes are a part of an image of this size.
pub(crate) fn check_hot(bytes: u64, image_size: u64) -> Result<(), Reason> {
    if bytes <= image_size {
        Ok(())
    } else {
        Err(Reason::HotSize(bytes))
    }
}

/// Exactly `N` fields, one space between them.
pub(crate) fn fields<'a, const N: usize>(
    key: &'static str,
    rest: &'a str,
) -> Result<[&'a str; N], Reason> {
    let mut found = [""; N];
    let mut parts = rest.split(' ');
    for field in &mut found {
        *field = parts
            .next()
            .filter(|part| !part.is_empty())
            .ok_or(Reason::Fields(key))?;
    }
    if parts.next().is_some() {
        Err(Reason::Fields(key))
    } else {
        Ok(found)
    }
}

/// Digits without sign or leading zero, so that one number has one text.
pub(crate) fn number(what: &'static str, text: &str) -> Result<u64, Reason> {
    let canonical =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(Reason::Number(what));
    }
    text.parse().map_err(|_| Reason::Number(what))
}

pub(crate) fn valid(path: &str) -> Result<String, Reason> {
    if path::is_valid(path) {
        Ok(path.to_string())
    } else {
        Err(Reason::Path(path.chars().take(200).collect()))
    }
}

fn set<T>(place: &mut Option<T>, key: &'static str, value: T) -> Result<(), Reason> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Reason::Twice(key)),
    }
}

pub(crate) fn push<T>(
    list: &mut Vec<T>,
    most: usize,
    full: Reason,
    value: T,
) -> Result<(), Reason> {
    if list.len() == most {
        return Err(full);
    }
    list.push(value);
    Ok(())
}
