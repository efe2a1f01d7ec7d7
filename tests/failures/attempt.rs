//! A run of the command with one fault, and checks of its result.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use storeboot_tests::command::{Scratch, bz_image, copy_storeboot, names, ran, static_program};
use storeboot_tests::fixture::{FILE, Fixture, INIT, Manner, Recipe, SYSTEM};
use storeboot_tests::listing::Listing;

/// A small store, a kernel and the other inputs of a build, without any fault.
pub struct World {
    scratch: Scratch,
    pub fixture: Fixture,
    /// The folder for outputs, and nothing else.
    pub out: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let mut recipe = Recipe::default();
        recipe.file(FILE, "--- a\n+++ b\n");
        recipe.program(format!("{SYSTEM}/init"), "#!/bin/sh\n");
        recipe.file(format!("{SYSTEM}/not-a-program"), "text");
        recipe.file(format!("{SYSTEM}/share/doc"), "text");
        let scratch = Scratch::new();
        let manner = Manner {
            writable: true,
            ..Manner::default()
        };
        let fixture = recipe.write(scratch.path(), manner);
        let out = scratch.folder_of_nobody("out");
        copy_storeboot(&scratch.join("storeboot"));
        fs::write(scratch.join("bzImage"), bz_image("6.12.1")).expect("a file");
        fs::write(scratch.join("stage1"), static_program()).expect("a file");
        Self {
            scratch,
            fixture,
            out,
        }
    }

    /// A path in the world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// A new file in the world's folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// Where a path of the store is.
    pub fn stored(&self, name: &str) -> PathBuf {
        self.fixture.root.join("nix/store").join(name)
    }

    /// A new file in the store, which is described as it is then.
    pub fn store_file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.stored(name), content).expect("a file");
        self.fixture.describe_again();
    }

    /// Removes all outputs.
    pub fn clear_outputs(&self) {
        for name in names(&self.out) {
            let path = self.out.join(name);
            match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            }
            .expect("it can be removed");
        }
    }

    /// A build that would succeed.
    pub fn build(&self) -> Attempt<'_> {
        self.attempt("build", "netboot")
            .set("--kernel", self.path("bzImage"))
            .set("--stage1", self.path("stage1"))
            .set("--init", INIT)
            .set("--compression", "zstd:1")
    }

    /// A run of `pack` that would succeed.
    pub fn pack(&self, format: &str) -> Attempt<'_> {
        self.attempt("pack", "packed").set("--format", format)
    }

    /// A run of `layer` that would succeed.
    pub fn layer(&self) -> Attempt<'_> {
        self.attempt("layer", "layer")
    }

    /// A run for every kind of output that would succeed.
    pub fn attempts(&self) -> Vec<Attempt<'_>> {
        let layouts = ["file", "in-place", "direct", "fetch"];
        let builds = layouts.map(|layout| self.build().set("--layout", layout));
        let mut attempts = vec![self.pack("squashfs"), self.pack("cpio"), self.layer()];
        attempts.extend(builds);
        attempts.push(self.build().flag("--segments"));
        let per_path = self.build().set("--layout", "direct");
        attempts.push(per_path.set("--archives", "per-path"));
        attempts
    }

    fn attempt(&self, action: &'static str, output: &str) -> Attempt<'_> {
        let attempt = Attempt {
            world: self,
            action,
            options: Vec::new(),
            flags: Vec::new(),
            environment: Vec::new(),
            command: Command::new(self.path("storeboot")),
        };
        attempt
            .set("--path-info", &self.fixture.path_info)
            .set("--store-root", &self.fixture.root)
            .set("--output", self.out.join(output))
    }
}

/// A run of the command.
pub struct Attempt<'a> {
    world: &'a World,
    action: &'static str,
    options: Vec<(&'static str, OsString)>,
    flags: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    command: Command,
}

impl Attempt<'_> {
    /// With this option, or another value of it.
    pub fn set(mut self, option: &'static str, value: impl AsRef<OsStr>) -> Self {
        self = self.without(option);
        self.options.push((option, value.as_ref().to_owned()));
        self
    }

    /// With this option, which has no value.
    pub fn flag(mut self, option: &str) -> Self {
        self.flags.push(option.into());
        self
    }

    /// Without this option.
    pub fn without(mut self, option: &str) -> Self {
        self.options.retain(|(name, _)| *name != option);
        self
    }

    /// With another environment.
    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// Run by this command, which takes the program's arguments.
    pub fn by(mut self, command: Command) -> Self {
        self.command = command;
        self
    }

    /// The arguments, the command's name first.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![self.action.into(), "--quiet".into()];
        for (option, value) in &self.options {
            arguments.extend([OsString::from(option), value.clone()]);
        }
        arguments.extend(self.flags.iter().cloned());
        arguments
    }

    pub fn run(mut self) -> Output {
        let arguments = self.arguments();
        ran(self.command.args(arguments).envs(self.environment))
    }

    pub fn succeeds(self) {
        let output = self.run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "", "--quiet says nothing");
    }

    /// Checks that the run exits with 1, prints one sentence with all of these words, and leaves nothing behind.
    #[track_caller]
    pub fn fails<W: AsRef<OsStr>>(self, words: impl IntoIterator<Item = W>) {
        let folder = self.world.out.clone();
        let before = names(&folder);
        let output = self.run();
        check(&output, words);
        assert_eq!(names(&folder), before, "left in the output's folder");
    }

    /// Checks that the run exits with 2, prints its usage, and leaves nothing behind.
    #[track_caller]
    pub fn refuses_usage(self, word: &str) {
        let folder = self.world.out.clone();
        let arguments = self.arguments();
        let output = self.run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(word), "no {word:?} in {said}");
        assert!(output.stdout.is_empty());
        assert!(names(&folder).is_empty(), "left in the output's folder");
    }
}

/// Checks the exit status and the message of a failed run.
#[track_caller]
pub fn check<W: AsRef<OsStr>>(output: &Output, words: impl IntoIterator<Item = W>) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = said
        .strip_suffix('\n')
        .unwrap_or_else(|| panic!("no whole line: {said:?}"));
    assert!(
        !line.contains('\n') && line.starts_with("storeboot: "),
        "not one sentence: {said}"
    );
    assert!(
        !line.chars().any(char::is_control),
        "not plain text: {line:?}"
    );
    for word in words {
        let word = word.as_ref().to_string_lossy();
        assert!(line.contains(&*word), "no {word:?} in {line:?}");
    }
    assert!(output.stdout.is_empty(), "something on stdout");
}

/// The content of an output, without times.
pub fn content(output: &Path) -> Listing {
    match output.is_dir() {
        true => Listing::of_folder(output),
        false => Listing::of_folder(output.parent().expect("a folder")),
    }
    .map(|_, entry| entry.mtime = 0)
}

/// For messages: the path as text.
pub fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}
