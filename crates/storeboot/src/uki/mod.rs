//! A netboot directory as one file that UEFI starts: a unified kernel image (UKI).
//!
//! The file is systemd's stub with the kernel, the initrd, the command line, the kernel's release and an `os-release`
//! as sections, in the order in which `ukify` puts them. The firmware checks one signature of all of it, and the stub
//! hands the kernel what is inside.
//!
//! - `pe.rs`: the headers
//! - `sign.rs`: the program that signs

mod pe;
mod sign;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use object::pe::{IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64, Machine};

use crate::check::read_manifest;
use crate::digest::{HashWriter, hex};
use crate::kernel::Architecture;
use crate::manifest::{FileEntry, FileKind, Manifest};
use crate::netboot::{COMMAND_LINE_MAX, names_store};
use crate::output::{self, copy_from};
use crate::{Context, Error, Layout, PublicKey, folder};
use pe::{Plan, Refusal, Section};

/// The largest stub that is read. systemd's has 100 to 200 KiB.
const STUB_MAX: u64 = 16 << 20;
/// The largest `os-release` that is read.
const OS_RELEASE_MAX: u64 = 64 << 10;
/// The bytes of a PE file that have its headers.
const HEAD: u64 = 64 << 10;

/// What a UKI is made of besides a netboot directory.
///
/// ```no_run
/// use storeboot::{Context, Uki, kernel::Architecture};
///
/// let stub = Uki::installed_stub(Architecture::X86_64)?;
/// let mut uki = Uki::new(stub);
/// uki.sign_with = Some(r#"sbsign --key db.key --cert db.crt --output "$SIGNED" "$UNSIGNED""#.into());
/// uki.build("netboot".as_ref(), "machine.efi".as_ref(), &Context::new())?;
/// # Ok::<(), storeboot::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Uki {
    /// systemd's stub.
    pub stub: PathBuf,
    /// What tells people which system it is, as `/etc/os-release`. `None`: a file with the name of the system.
    pub os_release: Option<PathBuf>,
    /// More of the kernel's command line.
    pub command_line: String,
    /// A command of the shell that signs the file `$UNSIGNED` and writes `$SIGNED`.
    pub sign_with: Option<String>,
    /// Keys of which one must have signed the netboot directory; without any it need not be signed.
    pub public_keys: Vec<PublicKey>,
}

impl Uki {
    /// A UKI on this stub, which nobody signs.
    pub fn new(stub: impl Into<PathBuf>) -> Self {
        Self {
            stub: stub.into(),
            os_release: None,
            command_line: String::new(),
            sign_with: None,
            public_keys: Vec::new(),
        }
    }

    /// systemd's stub for an architecture, where Debian puts it.
    ///
    /// # Errors
    /// [`Error::NoStub`] where it is not installed.
    pub fn installed_stub(architecture: Architecture) -> Result<PathBuf, Error> {
        let name = match architecture {
            Architecture::X86_64 => "linuxx64.efi.stub",
            Architecture::Aarch64 => "linuxaa64.efi.stub",
        };
        let path = Path::new("/usr/lib/systemd/boot/efi").join(name);
        match path.is_file() {
            true => Ok(path),
            false => Err(Error::NoStub { path }),
        }
    }

    /// Makes the file `output` of a netboot directory, whole or not at all, and returns its size.
    ///
    /// The initrd is copied as a stream. All that is copied is compared with the manifest.
    ///
    /// # Errors
    /// Where the directory or the stub cannot be used, where firmware would not load the file, and where the command that
    /// signs fails; see [`Error`].
    pub fn build(
        &self,
        netboot: &Path,
        output: &Path,
        context: &Context<'_>,
    ) -> Result<u64, Error> {
        let built = self.check_and_build(netboot, output, context);
        context.token().settle(built)
    }

    fn check_and_build(
        &self,
        netboot: &Path,
        output: &Path,
        context: &Context<'_>,
    ) -> Result<u64, Error> {
        let parts = Parts::read(self, netboot)?;
        let plan = parts.plan(self)?;
        context.begin("writing the file for UEFI", Some(plan.size))?;
        output::write_file_by_steps(output, |folder| {
            let unsigned = folder.join("unsigned.efi");
            parts.write(&plan, &unsigned, context)?;
            let Some(command) = &self.sign_with else {
                return Ok((unsigned, plan.size));
            };
            let signed = folder.join("signed.efi");
            context.begin("having the file signed", None)?;
            sign::sign(command, &unsigned, &signed, parts.machine, context.token())?;
            let size = signed.metadata().map_err(Error::read(&signed))?.len();
            Ok((signed, size))
        })
    }
}

/// The content of the sections.
struct Parts {
    stub: Vec<u8>,
    machine: Machine,
    os_release: Vec<u8>,
    command_line: String,
    release: String,
    initrd: (PathBuf, FileEntry),
    kernel: (PathBuf, FileEntry),
}

impl Parts {
    fn read(uki: &Uki, netboot: &Path) -> Result<Self, Error> {
        let manifest = read_manifest(netboot, &uki.public_keys)?;
        let refuse = |reason: String| Error::NotUki {
            path: netboot.into(),
            reason,
        };
        let command_line = command_line(&manifest, &uki.command_line).map_err(refuse)?;
        let machine = match manifest.kernel.architecture {
            Architecture::X86_64 => IMAGE_FILE_MACHINE_AMD64,
            Architecture::Aarch64 => IMAGE_FILE_MACHINE_ARM64,
        };
        let entry = |kind| {
            let mut files = manifest.files.iter();
            let file = files.find(|file| file.kind == kind).cloned();
            let file = file.ok_or_else(|| refuse(format!("its manifest names no {kind}")))?;
            // Neither a link out of the directory nor a pipe, which nobody may write to.
            folder::open_file(netboot, &file.name)?;
            Ok::<_, Error>((netboot.join(&file.name), file))
        };
        let (initrd, kernel) = (entry(FileKind::Initrd)?, entry(FileKind::Kernel)?);
        let head = read(&kernel.0, HEAD, false)?;
        pe::check_kernel(&head, machine).map_err(|reason| Error::NotUki {
            path: kernel.0.clone(),
            reason,
        })?;
        let os_release = match &uki.os_release {
            Some(path) => read(path, OS_RELEASE_MAX, true)?,
            None => os_release(&manifest).into_bytes(),
        };
        Ok(Self {
            stub: read(&uki.stub, STUB_MAX, true)?,
            machine,
            os_release,
            command_line,
            release: manifest.kernel.version.clone(),
            initrd,
            kernel,
        })
    }

    /// The kernel comes last: old ones run where they lie, and need free memory behind them.
    fn plan(&self, uki: &Uki) -> Result<Plan, Error> {
        let section = |name, size, is_code| Section {
            name,
            size,
            is_code,
        };
        let sections = [
            section(".osrel", self.os_release.len() as u64, false),
            section(".cmdline", self.command_line.len() as u64, false),
            section(".uname", self.release.len() as u64, false),
            section(".initrd", self.initrd.1.size, false),
            section(".linux", self.kernel.1.size, true),
        ];
        pe::plan(&self.stub, self.machine, &sections).map_err(|refusal| match refusal {
            Refusal::Stub(reason) => Error::Stub {
                path: uki.stub.clone(),
                reason,
            },
            Refusal::Large(size) => Error::NotUki {
                path: self.initrd.0.clone(),
                reason: format!(
                    "the file would have {size} bytes, and firmware loads less than {}; layout fetch makes a small initrd",
                    pe::LIMIT
                ),
            },
        })
    }

    fn write(&self, plan: &Plan, path: &Path, context: &Context<'_>) -> Result<(), Error> {
        let failed = |error| Error::write(path)(error);
        let file = output::create(path).map_err(failed)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        writer.write_all(&plan.start).map_err(failed)?;
        let mut written = plan.start.len() as u64;
        let texts = [
            self.os_release.as_slice(),
            self.command_line.as_bytes(),
            self.release.as_bytes(),
        ];
        let mut offsets = plan.offsets.iter();
        let mut next = || offsets.next().copied().unwrap_or(plan.size);
        for text in texts {
            pad(&mut writer, &mut written, next()).map_err(failed)?;
            writer.write_all(text).map_err(failed)?;
            written += text.len() as u64;
        }
        for (from, entry) in [&self.initrd, &self.kernel] {
            pad(&mut writer, &mut written, next()).map_err(failed)?;
            copy(from, entry, &mut writer, path, context)?;
            written += entry.size;
            context.reached(written)?;
        }
        pad(&mut writer, &mut written, plan.size).map_err(failed)?;
        let file = writer
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)
    }
}

/// Writes zeros up to a place in the file.
fn pad(writer: &mut impl Write, written: &mut u64, to: u64) -> io::Result<()> {
    let count = to.saturating_sub(*written);
    io::copy(&mut io::repeat(0).take(count), writer)?;
    *written += count;
    Ok(())
}

/// Copies a file, and checks that it is what the manifest says.
fn copy(
    from: &Path,
    entry: &FileEntry,
    writer: &mut impl Write,
    to: &Path,
    context: &Context<'_>,
) -> Result<(), Error> {
    let file = File::open(from).map_err(Error::read(from))?;
    let mut hashing = HashWriter::new(writer);
    // One byte more shows that a file is longer.
    let source = context
        .token()
        .watch(file)
        .take(entry.size.saturating_add(1));
    copy_from(source, from, &mut hashing, to)?;
    let (_, size, sha256) = hashing.finish();
    match (size, hex(&sha256)) == (entry.size, entry.sha256.clone()) {
        true => Ok(()),
        false => Err(Error::Fault {
            path: from.into(),
            reason: "it is not what the manifest says".into(),
        }),
    }
}

/// The bytes of a file, up to a limit. `whole`: a longer file is an error.
fn read(path: &Path, limit: u64, whole: bool) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + u64::from(whole)).read_to_end(&mut bytes))
        .map_err(Error::read(path))?;
    match bytes.len() as u64 > limit {
        true => Err(Error::Fault {
            path: path.into(),
            reason: format!("it has more than {limit} bytes"),
        }),
        false => Ok(bytes),
    }
}

fn command_line(manifest: &Manifest, more: &str) -> Result<String, String> {
    let mut line = manifest.command_line.clone();
    let more = more.trim();
    if !more.is_empty() {
        line.push(' ');
        line.push_str(more);
    }
    if let Some(control) = line.chars().find(|c| c.is_control()) {
        return Err(format!("its command line holds {control:?}"));
    }
    if line.len() > COMMAND_LINE_MAX {
        return Err(format!(
            "its command line has {} bytes and the kernel takes {COMMAND_LINE_MAX}",
            line.len()
        ));
    }
    if manifest.layout == Layout::Fetch && !names_store(&line) {
        return Err(
            "stage 1 would not know where the store is: add storeboot.store=URL to its command line"
                .into(),
        );
    }
    Ok(line)
}

/// What boot menus show of a system that has no `os-release` here: the name of its store path.
fn os_release(manifest: &Manifest) -> String {
    let system = Path::new(&manifest.init).parent().and_then(Path::file_name);
    let system = system.unwrap_or_default().to_string_lossy();
    let name = system.split_once('-').map_or("NixOS", |(_, name)| name);
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "+-._?=".contains(*c);
    let name: String = name.chars().filter(is_plain).collect();
    format!("ID=linux\nPRETTY_NAME=\"{name}\"\n")
}
