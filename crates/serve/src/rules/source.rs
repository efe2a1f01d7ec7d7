//! What a rule names to boot.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A name has so many bytes at most.
const MAX_NAME: usize = 128;

/// Where a netboot directory comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A folder that `storeboot build` wrote.
    Directory(PathBuf),
    /// `NAME/default.nix` or `NAME.nix` in the folder of configurations. Nix builds it.
    Configuration(String),
    /// A link of this name to a system in the store, in the folder of profiles.
    Profile(String),
    /// `nixosConfigurations.NAME` of the flake. Nix builds it.
    Flake(String),
    /// The latest build of a job of Hydra.
    Hydra(Job),
}

impl Source {
    /// A configuration of this name.
    ///
    /// # Errors
    /// Where the name is none, as for the next two: a sentence.
    pub fn configuration(name: &str) -> Result<Self, String> {
        plain(name).map(Self::Configuration)
    }

    /// A profile of this name.
    ///
    /// # Errors
    /// Where the name is none.
    pub fn profile(name: &str) -> Result<Self, String> {
        plain(name).map(Self::Profile)
    }

    /// A system of the flake.
    ///
    /// # Errors
    /// Where the name is none.
    pub fn flake(name: &str) -> Result<Self, String> {
        plain(name).map(Self::Flake)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Configuration(name) => write!(f, "configuration {name}"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Flake(name) => write!(f, "flake output {name}"),
            Self::Hydra(job) => write!(f, "Hydra's job {job}"),
        }
    }
}

/// A job of Hydra: `HOST/PROJECT/JOBSET/JOB`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Job {
    /// The server, as `hydra.example.org` or `hydra.example.org:3000`.
    pub host: String,
    /// The project.
    pub project: String,
    /// The jobset.
    pub jobset: String,
    /// The job.
    pub job: String,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            project,
            jobset,
            job,
        } = self;
        write!(f, "{host}/{project}/{jobset}/{job}")
    }
}

impl FromStr for Job {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(5, '/').collect();
        let [host, project, jobset, job] = parts[..] else {
            return Err(format!(
                "{:?} is no job of Hydra: write HOST/PROJECT/JOBSET/JOB",
                shortened(text)
            ));
        };
        let (name, port) = host.split_once(':').unwrap_or((host, "443"));
        port.parse::<u16>()
            .map_err(|_| format!("{:?} is no port", shortened(port)))?;
        plain(name)?;
        Ok(Self {
            host: host.into(),
            project: plain(project)?,
            jobset: plain(jobset)?,
            job: plain(job)?,
        })
    }
}

/// A name that is one of a folder, an attribute and a part of a URL. It means nothing else to any of them.
fn plain(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    match begins && name.len() <= MAX_NAME && name.chars().all(is_plain) {
        true => Ok(name.into()),
        false => Err(format!(
            "{:?} is no name: take up to {MAX_NAME} letters, digits and -_.+, a letter or digit first",
            shortened(name)
        )),
    }
}

/// The beginning of a text, for messages.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
