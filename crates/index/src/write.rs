//! Writes an [`Index`].

use core::fmt;

use crate::hex::Hex;
use crate::parse::check_hot;
use crate::{HEADER, Image, Index, Layout, MAX_IMAGES, MAX_MODULES, Reason, Verity, path};

impl Index {
    /// Checks that this index's text can be parsed again. Call it before you write the text.
    ///
    /// ```
    /// use storeboot_index::{Index, Layout, Reason};
    /// let index = Index { layout: Layout::Direct, memory: 0, modules: vec!["/abs.ko".into()], images: vec![] };
    /// assert_eq!(index.check(), Err(Reason::Path("/abs.ko".into())));
    /// ```
    pub fn check(&self) -> Result<(), Reason> {
        if self.modules.len() > MAX_MODULES {
            return Err(Reason::TooManyModules);
        }
        if self.images.len() > MAX_IMAGES {
            return Err(Reason::TooManyImages);
        }
        if self.images.is_empty() != (self.layout == Layout::Direct) {
            return Err(Reason::Images(self.layout));
        }
        let mut paths = self
            .modules
            .iter()
            .chain(self.images.iter().map(|image| &image.path));
        if let Some(path) = paths.find(|path| !path::is_valid(path)) {
            return Err(Reason::Path(path.clone()));
        }
        for image in &self.images {
            if let Some(verity) = &image.verity {
                verity.check(image.size)?;
            }
            if let Some(bytes) = image.hot {
                check_hot(bytes, image.size)?;
            }
        }
        self.check_length()
    }

    /// Checks the text's length, which thousands of long module names exceed without exceeding any other limit.
    fn check_length(&self) -> Result<(), Reason> {
        let length = length(self);
        if length > crate::MAX_TEXT {
            Err(Reason::TooLong(length))
        } else {
            Ok(())
        }
    }
}

/// The length of a text in bytes, without making it.
pub(crate) fn length(text: &impl fmt::Display) -> usize {
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            self.0 += s.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, so neither can the formatting.
    let _ = fmt::write(&mut count, format_args!("{text}"));
    count.0
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{HEADER}\nlayout {}\nmemory {}",
            self.layout, self.memory
        )?;
        for module in &self.modules {
            writeln!(f, "module {module}")?;
        }
        for (
            number,
            Image {
                path,
                size,
                offset,
                sha256,
                superblock,
                verity: _,
                hot: _,
            },
        ) in self.images.iter().enumerate()
        {
            write!(f, "image {number} {path} {size} ")?;
            match offset {
                Some(offset) => write!(f, "{offset}")?,
                None => f.write_str("-")?,
            }
            writeln!(f, " {} {}", Hex(sha256), Hex(superblock))?;
        }
        for (number, image) in self.images.iter().enumerate() {
            if let Some(Verity {
                data_size,
                salt,
                root,
            }) = &image.verity
            {
                writeln!(f, "verity {number} {data_size} {} {}", Hex(salt), Hex(root))?;
            }
        }
        for (number, image) in self.images.iter().enumerate() {
            if let Some(bytes) = image.hot {
                writeln!(f, "hot {number} {bytes}")?;
            }
        }
        Ok(())
    }
}
