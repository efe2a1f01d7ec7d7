//! Why an index, or another list, is refused.

use alloc::string::String;
use core::fmt;

use crate::{
    Layout, MAX_ALIAS, MAX_ALIASES, MAX_CHUNKS, MAX_DRIVER_FILES, MAX_DRIVERS, MAX_DRIVERS_TEXT,
    MAX_FILE_PATH, MAX_IMAGES, MAX_LIST, MAX_MODULES, MAX_PARTS, MAX_PATH, MAX_TEXT,
};

/// Where and why an index, or another list, cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line with the fault, counted from 1; 0 for the text as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with an index, or with another list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text is longer than [`MAX_TEXT`].
    TooLong(usize),
    /// The text does not end in a line feed.
    CutOff,
    /// A byte that is neither printable ASCII, a space, nor a line feed.
    NotAscii(u8),
    /// The first line is not [`HEADER`](crate::HEADER).
    NoHeader,
    /// A line begins with an unknown key.
    UnknownKey(String),
    /// A line has too few fields, too many, or an empty one.
    Fields(&'static str),
    /// A key that may occur once occurs twice.
    Twice(&'static str),
    /// A required key is missing.
    Missing(&'static str),
    /// The layout is unknown.
    UnknownLayout,
    /// A number that is not written as digits, or does not fit.
    Number(&'static str),
    /// A hexadecimal field that is not lower-case digits of the right count.
    Hex(&'static str),
    /// A path that is not relative, has an empty, `.` or `..` part, is too long, or is not ASCII without spaces.
    Path(String),
    /// More than [`MAX_MODULES`] modules.
    TooManyModules,
    /// More than [`MAX_IMAGES`] images.
    TooManyImages,
    /// An image's number is not its position in the list.
    ImageOrder,
    /// The layout needs an image and none is listed, or takes none and one is listed.
    Images(Layout),
    /// `verity` is for an image that is not listed before it.
    VerityImage(u64),
    /// An image has `verity` twice.
    VerityTwice(u64),
    /// So much data and its tree are not the whole image.
    VeritySize(u64),
    /// `hot` is for an image that is not listed before it.
    HotImage(u64),
    /// An image has `hot` twice.
    HotTwice(u64),
    /// The image is smaller than its hot bytes.
    HotSize(u64),
    /// A list of parts is longer than [`MAX_LIST`].
    ListTooLong(usize),
    /// The first line of a list is not [`PARTS_HEADER`](crate::PARTS_HEADER).
    NoPartsHeader,
    /// A file's mode is neither 444 nor 555.
    Mode,
    /// A file's path leads out of the store, is too long, or is not in its canonical form.
    FilePath,
    /// More than [`MAX_PARTS`] parts.
    TooManyParts,
    /// The number of parts is not the one that the list gives.
    PartCount,
    /// The list of chunks does not begin with [`CHUNKS_HEADER`](crate::CHUNKS_HEADER).
    NoChunksHeader,
    /// The images have more than [`MAX_CHUNKS`] chunks.
    TooManyChunks,
    /// The list of chunks does not have one hash for each chunk of the images.
    ChunkCount,
    /// A part is empty, overlaps with the part before it, or ends behind the end of the file.
    PartOrder,
    /// A list of drivers is longer than [`MAX_DRIVERS_TEXT`].
    DriversTooLong(usize),
    /// The list of drivers does not begin with [`DRIVERS_HEADER`](crate::DRIVERS_HEADER).
    NoDriversHeader,
    /// More than [`MAX_DRIVERS`] drivers.
    TooManyDrivers,
    /// More than [`MAX_DRIVER_FILES`] module files, or as many firmware files.
    TooManyDriverFiles,
    /// More than [`MAX_ALIASES`] aliases.
    TooManyAliases,
    /// A driver's class is unknown.
    UnknownClass,
    /// A name that no module can have.
    DriverName(String),
    /// A driver is listed twice.
    DriverTwice(String),
    /// A driver needs a file whose number is not listed before it.
    FileNumber(u64),
    /// An alias that is empty, longer than [`MAX_ALIAS`], or not printable ASCII.
    Alias(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => self.reason.fmt(f),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(n) => write!(f, "the text has {n} bytes, at most {MAX_TEXT} are allowed"),
            Self::CutOff => f.write_str("the last line is cut off"),
            Self::NotAscii(byte) => write!(f, "byte 0x{byte:02x} is not printable ASCII"),
            Self::NoHeader => write!(f, "the first line is not `{}`", crate::HEADER),
            Self::UnknownKey(key) => write!(f, "unknown key `{key}`"),
            Self::Fields(key) => write!(f, "`{key}` has the wrong number of fields"),
            Self::Twice(key) => write!(f, "`{key}` stands here a second time"),
            Self::Missing(key) => write!(f, "`{key}` is missing"),
            Self::UnknownLayout => crate::UnknownLayout.fmt(f),
            Self::Number(what) => write!(f, "the {what} is not a number"),
            Self::Hex(what) => write!(
                f,
                "the {what} is not lower-case hexadecimal of the right length"
            ),
            Self::Path(path) => write!(
                f,
                "`{path}` is not a relative path of at most {MAX_PATH} ASCII bytes without spaces, `.` and `..`"
            ),
            Self::TooManyModules => write!(f, "there are more than {MAX_MODULES} modules"),
            Self::TooManyImages => write!(f, "there are more than {MAX_IMAGES} images"),
            Self::ImageOrder => f.write_str("the images are not numbered 0, 1, 2, ..."),
            Self::Images(Layout::Direct) => {
                f.write_str("layout `direct` has no images, but one is listed")
            }
            Self::Images(layout) => {
                write!(f, "layout `{layout}` needs an image, but none is listed")
            }
            Self::VerityImage(number) => write!(
                f,
                "`verity` is for image {number}, which is not listed before"
            ),
            Self::VerityTwice(number) => write!(f, "image {number} has `verity` twice"),
            Self::VeritySize(size) => write!(
                f,
                "{size} bytes of data with their hash tree are not the whole image"
            ),
            Self::HotImage(number) => {
                write!(f, "`hot` is for image {number}, which is not listed before")
            }
            Self::HotTwice(number) => write!(f, "image {number} has `hot` twice"),
            Self::HotSize(bytes) => {
                write!(f, "the image is smaller than its {bytes} hot bytes")
            }
            Self::ListTooLong(n) => {
                write!(f, "the list has {n} bytes, at most {MAX_LIST} are allowed")
            }
            Self::NoPartsHeader => write!(f, "the first line is not `{}`", crate::PARTS_HEADER),
            Self::Mode => f.write_str("the file's mode is neither 444 nor 555"),
            Self::FilePath => write!(
                f,
                "the file's path is not one inside the store, of less than {MAX_FILE_PATH} bytes, in its one form"
            ),
            Self::TooManyParts => write!(f, "there are more than {MAX_PARTS} parts"),
            Self::PartCount => f.write_str("there are not as many parts as the list says"),
            Self::NoChunksHeader => write!(f, "the first line is not `{}`", crate::CHUNKS_HEADER),
            Self::TooManyChunks => write!(f, "the images have more than {MAX_CHUNKS} chunks"),
            Self::ChunkCount => f.write_str("there is not one hash for each chunk of the images"),
            Self::PartOrder => {
                f.write_str("a part is empty, overlaps with another one, or is not inside the file")
            }
            Self::DriversTooLong(n) => write!(
                f,
                "the list has {n} bytes, at most {MAX_DRIVERS_TEXT} are allowed"
            ),
            Self::NoDriversHeader => write!(f, "the first line is not `{}`", crate::DRIVERS_HEADER),
            Self::TooManyDrivers => write!(f, "there are more than {MAX_DRIVERS} drivers"),
            Self::TooManyDriverFiles => write!(
                f,
                "there are more than {MAX_DRIVER_FILES} module files, or as many firmware files"
            ),
            Self::TooManyAliases => write!(f, "there are more than {MAX_ALIASES} aliases"),
            Self::UnknownClass => crate::UnknownClass.fmt(f),
            Self::DriverName(name) => write!(f, "`{name}` cannot be the name of a module"),
            Self::DriverTwice(name) => write!(f, "the driver `{name}` is listed twice"),
            Self::FileNumber(number) => write!(f, "no file {number} is listed before"),
            Self::Alias(alias) => write!(
                f,
                "`{alias}` is no alias of 1 to {MAX_ALIAS} bytes of printable ASCII"
            ),
        }
    }
}

impl core::error::Error for ParseError {}
impl core::error::Error for Reason {}
