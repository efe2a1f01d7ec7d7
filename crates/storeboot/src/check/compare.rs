//! Tells how two netboot directories differ: in their store paths, their images and their files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::Serialize;
use storeboot_closure::{Closure, PathInfo, StorePath};

use super::manifest_file::read_manifest;
use super::registration;
use crate::manifest::{FileKind, Manifest};
use crate::package::name_and_version;
use crate::plain::Plain;
use crate::{Context, Error};

/// How two netboot directories differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Comparison {
    /// Number of store paths that both have, with the same NAR hash.
    pub same_paths: usize,
    /// The packages whose store paths differ, by name.
    pub packages: Vec<PackageChange>,
    /// Bytes of the NARs of each one's closure.
    pub nar_size: [u64; 2],
    /// The release of each one's kernel.
    pub kernel: [String; 2],
    /// Each one's kernel command line.
    pub command_line: [String; 2],
    /// Number of store images of each one.
    pub images: [usize; 2],
    /// Number of store images that both have, the same to the byte.
    pub same_images: usize,
    /// The files that differ, by name.
    pub files: Vec<FileChange>,
}

/// A package whose store paths differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PackageChange {
    /// Its name, without version and hash.
    pub name: String,
    /// Its store paths that only the first directory has.
    pub before: Vec<StorePathSize>,
    /// Its store paths that only the second directory has. A path in both lists has the same name and another content.
    pub after: Vec<StorePathSize>,
}

/// A store path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StorePathSize {
    /// The whole path.
    pub path: String,
    /// The version in its name; empty where it has none.
    pub version: String,
    /// Bytes of its NAR.
    pub nar_size: u64,
}

/// A file that differs. At least one of the sizes is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FileChange {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Its bytes in the first directory, if that has it.
    pub before: Option<u64>,
    /// Its bytes in the second directory, if that has it.
    pub after: Option<u64>,
}

impl Comparison {
    /// Whether both directories boot the same: no file differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.files.is_empty()
    }
}

/// Compares the netboot directories `before` and `after`, of any layouts.
///
/// Reads their manifests, and takes the store paths from the registration in their stores. It checks no hash of a file;
/// [`verify`](crate::verify()) does.
///
/// # Errors
/// [`Error::Read`] and [`Error::Fault`] where one of them is no netboot directory or is damaged.
///
/// ```no_run
/// use storeboot::{Context, compare};
///
/// let comparison = compare("yesterday".as_ref(), "today".as_ref(), &Context::new())?;
/// for package in &comparison.packages {
///     println!("{package}");
/// }
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn compare(before: &Path, after: &Path, context: &Context<'_>) -> Result<Comparison, Error> {
    let read = |folder: &Path| {
        context.begin(&format!("reading {}", folder.display()), None)?;
        let manifest = read_manifest(folder, &[])?;
        let closure = registration::of_folder(folder, &manifest, context.token())?;
        Ok((manifest, closure))
    };
    let compared = read(before).and_then(|before| Ok(of(&before, &read(after)?)));
    context.token().settle(compared)
}

fn of(before: &(Manifest, Closure), after: &(Manifest, Closure)) -> Comparison {
    let manifests = [&before.0, &after.0];
    let (same_paths, packages) = packages(&before.1, &after.1);
    let [first, second] = manifests.map(|manifest| {
        let images = manifest.images.iter();
        images.map(|image| &image.sha256).collect::<BTreeSet<_>>()
    });
    Comparison {
        same_paths,
        packages,
        nar_size: manifests.map(|manifest| manifest.closure.nar_size),
        kernel: manifests.map(|manifest| manifest.kernel.version.clone()),
        command_line: manifests.map(|manifest| manifest.command_line.clone()),
        images: manifests.map(|manifest| manifest.images.len()),
        same_images: first.intersection(&second).count(),
        files: files(manifests),
    }
}

/// The number of equal store paths, and the packages of the others.
fn packages(before: &Closure, after: &Closure) -> (usize, Vec<PackageChange>) {
    let is_in = |closure: &Closure, info: &PathInfo| {
        let other = closure.get(&info.path);
        other.is_some_and(|other| other.nar_hash == info.nar_hash)
    };
    let mut changes: BTreeMap<String, PackageChange> = BTreeMap::new();
    let mut same = 0;
    for info in before.paths() {
        if is_in(after, info) {
            same += 1;
        } else {
            package(&mut changes, &info.path)
                .before
                .push(sized(before, info));
        }
    }
    for info in after.paths().filter(|info| !is_in(before, info)) {
        package(&mut changes, &info.path)
            .after
            .push(sized(after, info));
    }
    (same, changes.into_values().collect())
}

fn package<'a>(
    changes: &'a mut BTreeMap<String, PackageChange>,
    path: &StorePath,
) -> &'a mut PackageChange {
    let name = name_and_version(path.name()).0;
    changes
        .entry(name.to_owned())
        .or_insert_with(|| PackageChange {
            name: name.to_owned(),
            before: Vec::new(),
            after: Vec::new(),
        })
}

fn sized(closure: &Closure, info: &PathInfo) -> StorePathSize {
    StorePathSize {
        path: closure.render(&info.path),
        version: name_and_version(info.path.name()).1.to_owned(),
        nar_size: info.nar_size.unwrap_or_default(),
    }
}

fn files(manifests: [&Manifest; 2]) -> Vec<FileChange> {
    let [before, after] = manifests.map(|manifest| {
        let files = manifest.files.iter();
        files
            .map(|file| (file.name.as_str(), file))
            .collect::<BTreeMap<_, _>>()
    });
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (first, second) = (before.get(name), after.get(name));
            let hash = |file: Option<&&crate::manifest::FileEntry>| {
                file.map(|file| (file.size, file.sha256.clone()))
            };
            let file = first.or(second)?;
            (hash(first) != hash(second)).then(|| FileChange {
                name: name.to_owned(),
                kind: file.kind,
                before: first.map(|file| file.size),
                after: second.map(|file| file.size),
            })
        })
        .collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return writeln!(f, "the same: every file has the same bytes");
        }
        let count = |paths: fn(&PackageChange) -> &Vec<StorePathSize>| {
            let packages = self.packages.iter();
            packages.map(|package| paths(package).len()).sum::<usize>()
        };
        writeln!(
            f,
            "store paths   {} the same, {} only before, {} only after",
            self.same_paths,
            count(|package| &package.before),
            count(|package| &package.after)
        )?;
        let [before, after] = self.nar_size;
        writeln!(f, "closure       {before} -> {after} bytes")?;
        for (what, [before, after]) in [
            ("kernel        ", &self.kernel),
            ("command line  ", &self.command_line),
        ] {
            if before != after {
                writeln!(f, "{what}{} -> {}", Plain(before), Plain(after))?;
            }
        }
        let [before, after] = self.images;
        writeln!(
            f,
            "store images  {before} -> {after}, {} the same to the byte",
            self.same_images
        )?;
        for package in &self.packages {
            writeln!(f, "package       {package}")?;
        }
        for file in &self.files {
            writeln!(f, "file          {file}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = |paths: &[StorePathSize]| {
            let versions: Vec<&str> = paths
                .iter()
                .map(|path| match path.version.as_str() {
                    "" => "no version",
                    version => version,
                })
                .collect();
            match versions.as_slice() {
                [] => "none".to_owned(),
                versions => versions.join(", "),
            }
        };
        let size = |paths: &[StorePathSize]| {
            let sizes = paths.iter().map(|path| i128::from(path.nar_size));
            sizes.sum::<i128>()
        };
        write!(
            f,
            "{}: {} -> {}, {:+} bytes",
            self.name,
            versions(&self.before),
            versions(&self.after),
            size(&self.after) - size(&self.before)
        )
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), ", Plain(&self.name), self.kind)?;
        match (self.before, self.after) {
            (Some(before), Some(after)) => write!(f, "{before} -> {after} bytes"),
            (Some(before), None) => write!(f, "{before} bytes, only before"),
            (None, Some(after)) => write!(f, "{after} bytes, only after"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_adds_no_line_and_no_control_character() {
        let lines = |text: &str| {
            let comparison = Comparison {
                same_paths: 0,
                packages: Vec::new(),
                nar_size: [0, 0],
                kernel: ["6.12".into(), text.into()],
                command_line: ["quiet".into(), text.into()],
                images: [0, 0],
                same_images: 0,
                files: vec![FileChange {
                    name: "initrd".into(),
                    kind: FileKind::Initrd,
                    before: None,
                    after: Some(1),
                }],
            };
            let shown = comparison.to_string();
            assert!(
                !shown.replace('\n', "").contains(char::is_control),
                "{shown}"
            );
            shown.lines().count()
        };
        assert_eq!(lines("a\u{1b}[31m\nfile          other"), lines("plain"));
    }
}
