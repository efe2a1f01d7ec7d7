use std::io::{BufWriter, Write};

use crate::{Closure, Error};

/// The forms of a registration. `nix-store --load-db` reads both.
///
/// In both, the paths and the references of each path are in the order of their base names, byte by byte, as Nix prints
/// them in every form. The order in which the closure was read makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Registration {
    /// The form of nixpkgs' closureInfo: hashes as `sha256:` and base 32, without derivers. Images have this form: they
    /// hold no derivers, and only some forms of a closure have them.
    #[default]
    ClosureInfo,
    /// The form of `nix-store --dump-db`: hashes as bare hexadecimal digits, with derivers. The command prints the
    /// paths in the order of its arguments, and in the order used here where it has none.
    DumpDb,
}

impl Closure {
    /// Writes the registration of these paths, the `nix-path-registration` of a store.
    ///
    /// ```
    /// use storeboot_closure::{Registration, StoreDir, read_registration};
    ///
    /// let dump = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello
    /// 15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527
    /// 226552
    ///
    /// 0
    /// ";
    /// let closure = read_registration(dump.as_bytes(), &StoreDir::default())?;
    /// let mut registration = Vec::new();
    /// closure.write_registration(&mut registration, Registration::DumpDb)?;
    /// assert_eq!(registration, dump.as_bytes());
    /// # Ok::<(), storeboot_closure::Error>(())
    /// ```
    pub fn write_registration(&self, writer: impl Write, style: Registration) -> Result<(), Error> {
        // Fails before anything is written.
        for info in self.paths() {
            if info.nar_hash.is_none() || info.nar_size.is_none() {
                let path = self.render(&info.path);
                return Err(Error::Incomplete { path });
            }
        }
        let mut writer = BufWriter::new(writer);
        self.put_registration(&mut writer, style)
            .and_then(|()| writer.flush())
            .map_err(|source| Error::Write { source })
    }

    fn put_registration(
        &self,
        writer: &mut impl Write,
        style: Registration,
    ) -> std::io::Result<()> {
        for info in self.paths() {
            writeln!(writer, "{}", self.render(&info.path))?;
            if let (Some(hash), Some(size)) = (info.nar_hash, info.nar_size) {
                let hash = match style {
                    Registration::ClosureInfo => hash.to_nix32(),
                    Registration::DumpDb => hash.to_hex(),
                };
                writeln!(writer, "{hash}\n{size}")?;
            }
            match &info.deriver {
                Some(deriver) if style == Registration::DumpDb => {
                    writeln!(writer, "{}", self.render(deriver))?;
                }
                _ => writeln!(writer)?,
            }
            writeln!(writer, "{}", info.references.len())?;
            for reference in &info.references {
                writeln!(writer, "{}", self.render(reference))?;
            }
        }
        Ok(())
    }
}
