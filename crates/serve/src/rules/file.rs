//! The text of a rules file.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use toml::Spanned;

use super::matching::{Matches, Network, PlatformName, Uuid};
use super::source::shortened;
use super::{Given, Job, Rule, Rules, Source};
use crate::{Error, Mac};

/// A file has so many rules at most.
const MAX_RULES: usize = 20_000;
/// A machine gets so many archives at most.
const MAX_ARCHIVES: usize = 16;
/// So many bytes can be added to a command line, which the kernel cuts at 2048 or 4096.
const MAX_APPEND: usize = 2048;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Option<Spanned<Entry>>,
    #[serde(default)]
    machine: Vec<Spanned<Entry>>,
}

/// `[default]` or a `[[machine]]`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    #[serde(default)]
    mac: List<Mac>,
    #[serde(default)]
    uuid: List<Uuid>,
    #[serde(default)]
    serial: List<Serial>,
    #[serde(default)]
    platform: List<PlatformName>,
    #[serde(default)]
    network: List<Network>,

    directory: Option<PathBuf>,
    configuration: Option<Text<Configuration>>,
    profile: Option<Text<Profile>>,
    flake: Option<Text<Flake>>,
    hydra: Option<Text<Job>>,

    append: Option<List<Words>>,
    host_name: Option<Text<HostName>>,
    archives: Option<List<PathBuf>>,
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Rules, Error> {
    let wrong = |span: Option<Range<usize>>, reason: String| Error::Rules {
        path: path.into(),
        line: line(text, span),
        reason,
    };
    let file: File =
        toml::from_str(text).map_err(|error| wrong(error.span(), sentence(error.message())))?;
    if let Some(entry) = file.machine.get(MAX_RULES) {
        let reason = format!("there are more than {MAX_RULES} rules");
        return Err(wrong(Some(entry.span()), reason));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let read = |entry: Spanned<Entry>, is_default: bool| {
        let span = entry.span();
        let rule = entry.into_inner().rule(folder);
        let rule = rule.and_then(|rule| match (is_default, rule.matches.is_empty()) {
            (true, false) => Err("[default] is for every machine: it cannot say for which".into()),
            (false, true) => Err(
                "the rule does not say for which machines it is: give it a mac, uuid, serial, platform or network"
                    .into(),
            ),
            _ => Ok(rule),
        });
        rule.map_err(|reason: String| wrong(Some(span), reason))
    };
    let default = file.default.map(|entry| read(entry, true)).transpose()?;
    let machines = file.machine.into_iter().map(|entry| read(entry, false));
    Ok(Rules {
        default: default.map(|rule| rule.given).unwrap_or_default(),
        machines: machines.collect::<Result<_, _>>()?,
    })
}

impl Entry {
    fn rule(self, folder: &Path) -> Result<Rule, String> {
        let sources: Vec<Source> = [
            self.directory
                .map(|path| Source::Directory(folder.join(path))),
            self.configuration.map(|name| name.0.0),
            self.profile.map(|name| name.0.0),
            self.flake.map(|name| name.0.0),
            self.hydra.map(|job| Source::Hydra(job.0)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let source = match <[Source; 1]>::try_from(sources) {
            Ok([source]) => Some(source),
            Err(sources) if sources.is_empty() => None,
            Err(_) => {
                return Err(
                    "the rule names more than one of directory, configuration, profile, flake and hydra"
                        .into(),
                );
            }
        };
        let append: Option<Vec<String>> = self
            .append
            .map(|list| list.0.into_iter().map(|words| words.0).collect());
        if let Some(append) = &append {
            let bytes: usize = append.iter().map(String::len).sum();
            if bytes > MAX_APPEND {
                return Err(format!("append has more than {MAX_APPEND} bytes"));
            }
        }
        let archives = self
            .archives
            .map(|list| list.0.iter().map(|path| folder.join(path)).collect());
        if archives
            .as_ref()
            .is_some_and(|archives: &Vec<PathBuf>| archives.len() > MAX_ARCHIVES)
        {
            return Err(format!("there are more than {MAX_ARCHIVES} archives"));
        }
        Ok(Rule {
            matches: Matches {
                macs: self.mac.0,
                uuids: self.uuid.0,
                serials: self.serial.0.into_iter().map(|serial| serial.0).collect(),
                platforms: self.platform.0,
                networks: self.network.0,
            },
            given: Given {
                source,
                append,
                host_name: self.host_name.map(|name| name.0.0),
                archives,
            },
        })
    }
}

/// The line that a place in the text is in, counted from 1.
fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.as_bytes().get(..span.start));
    1 + before.map_or(0, |before| {
        before.iter().filter(|byte| **byte == b'\n').count()
    })
}

/// The message of the parser, in one line.
fn sentence(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ")
}

/// A text that means something.
struct Text<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A text, or a list of texts.
struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts<T>(PhantomData<T>);
        impl<'de, T: FromStr<Err: Display>> Visitor<'de> for Texts<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<List<T>, E> {
                let one = text.parse().map_err(E::custom)?;
                Ok(List(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(Text(one)) = seq.next_element()? {
                    list.push(one);
                }
                if list.is_empty() {
                    return Err(A::Error::custom(
                        "the list is empty: leave the key out, or put something in",
                    ));
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(Texts(PhantomData))
    }
}

/// Declares a name of which a source is made.
macro_rules! names {
    ($($name:ident $make:ident),*) => {$(
        struct $name(Source);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Source::$make(text).map(Self)
            }
        }
    )*};
}
names!(Configuration configuration, Profile profile, Flake flake);

struct Serial(String);

impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.is_empty() {
            true => Err("the serial number is empty".into()),
            false => Ok(Self(text.into())),
        }
    }
}

/// Words of a command line.
struct Words(String);

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(format!("a command line cannot hold {control:?}")),
            None => Ok(Self(text.trim().into())),
        }
    }
}

/// A host name: what Linux and DNS take.
struct HostName(String);

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
            !label.is_empty()
                && label.bytes().all(is_plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        match text.len() <= 64 && text.split('.').all(is_label) {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "{:?} is no host name: take up to 64 letters, digits, hyphens and dots",
                shortened(text)
            )),
        }
    }
}
