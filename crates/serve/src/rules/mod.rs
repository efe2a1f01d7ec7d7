//! Which machine gets what.
//!
//! A rules file is TOML. Each `[[machine]]` says which machines it is for, and what they get:
//!
//! ```toml
//! [default]                           # for every machine
//! directory = "result"                # from the folder of the rules file
//!
//! [[machine]]
//! mac = "52:54:00:12:34:56"           # or a list: any of them
//! host-name = "node1"
//! archives = ["keys/node1.cpio"]
//!
//! [[machine]]
//! network = "192.0.2.0/24"            # a rack
//! platform = "uefi-arm64"
//! directory = "result-arm64"
//! append = "console=ttyAMA0"
//! ```
//!
//! | key | which machines |
//! | --- | --- |
//! | `mac`, `uuid`, `serial` | those that say so of themselves |
//! | `platform` | `bios`, `uefi-x64` or `uefi-arm64` |
//! | `network` | those with an address in this network |
//!
//! | key | what they get |
//! | --- | --- |
//! | `directory` | a folder that `storeboot build` wrote |
//! | `configuration`, `profile`, `flake` | what has this name: see [`Source`] |
//! | `hydra` | the latest build of `HOST/PROJECT/JOBSET/JOB` |
//! | `append` | more words for the kernel's command line: a text, or a list of texts |
//! | `host-name` | the host name, by `systemd.hostname=` on the kernel's command line |
//! | `archives` | files that the kernel unpacks after the initrd |
//!
//! A rule counts where all of its keys match. All rules that match count, and `[default]` after them. The first that
//! names a thing decides about it: so one rule can say what a rack boots, and others how its machines are called.

mod file;
mod follow;
mod matching;
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::held::Held;
use crate::{Error, Machine};
pub use follow::{News, RulesFile};
use matching::Matches;
pub use source::{Job, Source};

/// What a machine gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it boots.
    pub source: Source,
    /// More words for the kernel's command line. The host name is not among them.
    pub append: Vec<String>,
    /// The host name that it gets.
    pub host_name: Option<String>,
    /// Archives that the kernel unpacks after the initrd: for this machine only.
    pub archives: Vec<PathBuf>,
}

impl Choice {
    /// Everything that is to be added to the kernel's command line: the words, and the host name.
    ///
    /// systemd takes `systemd.hostname=` before `/etc/hostname`, and so does NixOS, whatever `networking.hostName` says.
    pub fn words(&self) -> String {
        let host_name = self.host_name.iter();
        let host_name = host_name.map(|name| format!("systemd.hostname={name}"));
        let words: Vec<String> = self.append.iter().cloned().chain(host_name).collect();
        words.join(" ")
    }
}

/// Which machine gets what.
///
/// ```
/// use storeboot_serve::{Machine, Rules};
///
/// let text = r#"
///     default.directory = "result"
///     [[machine]]
///     mac = "52:54:00:12:34:56"
///     host-name = "node1"
/// "#;
/// let rules = Rules::parse(text, "/etc/storeboot/rules.toml".as_ref())?;
/// let mut machine = Machine::default();
/// machine.mac = Some("52-54-00-12-34-56".parse().unwrap());
/// let choice = rules.choose(&machine).unwrap();
/// assert_eq!(choice.words(), "systemd.hostname=node1");
/// # Ok::<(), storeboot_serve::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    default: Given,
    machines: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug)]
struct Rule {
    matches: Matches,
    given: Given,
}

/// What a rule names.
#[derive(Clone, Debug, Default)]
struct Given {
    source: Option<Source>,
    append: Option<Vec<String>>,
    host_name: Option<String>,
    archives: Option<Vec<PathBuf>>,
}

impl Rules {
    /// Every machine gets the same.
    pub fn same_for_all(source: Source) -> Self {
        Self::default().or_default(source)
    }

    /// Reads the text of a rules file. Paths in it are seen from the folder of `path`.
    ///
    /// # Errors
    /// [`Error::Rules`] with the line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        file::parse(text, path)
    }

    /// The same rules, with something to boot for the machines that no rule names anything for.
    #[must_use]
    pub fn or_default(mut self, source: Source) -> Self {
        self.default.source.get_or_insert(source);
        self
    }

    /// What a machine gets. `None`: there is nothing for it.
    pub fn choose(&self, machine: &Machine) -> Option<Choice> {
        let matching = self
            .machines
            .iter()
            .filter(|rule| rule.matches.machine(machine));
        let mut chosen = Given::default();
        for given in matching.map(|rule| &rule.given).chain([&self.default]) {
            chosen.fill(given);
        }
        Some(Choice {
            source: chosen.source?,
            append: chosen.append.unwrap_or_default(),
            host_name: chosen.host_name,
            archives: chosen.archives.unwrap_or_default(),
        })
    }

    /// Why archives that some machine is to get cannot be had now, each once. Others are no worse for it.
    pub(crate) fn lacking_archives(&self) -> Vec<Error> {
        let given = self.machines.iter().map(|rule| &rule.given);
        let archives: BTreeSet<&PathBuf> = given
            .chain([&self.default])
            .filter_map(|given| given.archives.as_ref())
            .flatten()
            .collect();
        let opened = archives.into_iter().map(|path| Held::open(path));
        opened.filter_map(Result::err).collect()
    }

    /// Everything that some machine may boot, once.
    pub fn sources(&self) -> Vec<&Source> {
        let given = self.machines.iter().map(|rule| &rule.given);
        let mut sources: Vec<&Source> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for source in given
            .chain([&self.default])
            .filter_map(|given| given.source.as_ref())
        {
            if known.insert(source) {
                sources.push(source);
            }
        }
        sources
    }
}

impl Given {
    /// Takes what is not yet named.
    fn fill(&mut self, other: &Self) {
        fn fill<T: Clone>(mine: &mut Option<T>, other: &Option<T>) {
            if mine.is_none() {
                mine.clone_from(other);
            }
        }
        fill(&mut self.source, &other.source);
        fill(&mut self.append, &other.append);
        fill(&mut self.host_name, &other.host_name);
        fill(&mut self.archives, &other.archives);
    }
}

#[cfg(test)]
mod tests;
