//! The JSON forms. Nix has changed them often:
//!
//! | from | `nix path-info --json` | paths | `narHash` |
//! | --- | --- | --- | --- |
//! | 2.0 | a list of objects with a `path` | in full | `sha256:…`, then SRI |
//! | 2.19 | a map from path to object, or to null where the path is not valid | in full | SRI |
//! | 2.33 (format 2, 3) | such a map under `info`, beside `version` and `storeDir` | base names | SRI, or an object with `algorithm`, `format` and `hash` |
//!
//! Structured attributes hold the list, for every version.

use std::fmt;
use std::io::Read;

use nix_derivation::{StoreDir, StorePath};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::excerpt::beginning;
use crate::limits::{MAX_PATHS, read_all};
use crate::parse::{known, parse_path};
use crate::{Closure, Error, NarHash, PathInfo};

/// Reads what `nix path-info --json --recursive` prints, from any version of Nix.
///
/// ```
/// use storeboot_closure::{StoreDir, read_path_info};
///
/// let list = r#"[ { "path": "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello", "references": [],
///     "narHash": "sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=", "narSize": 226552 } ]"#;
/// let closure = read_path_info(list.as_bytes(), &StoreDir::default())?;
/// assert_eq!(closure.len(), 1);
/// # Ok::<(), storeboot_closure::Error>(())
/// ```
pub fn read_path_info(reader: impl Read, store_dir: &StoreDir) -> Result<Closure, Error> {
    let bytes = read_all(reader)?;
    if bytes.trim_ascii_start().starts_with(b"[") {
        return graph(&bytes, store_dir);
    }
    // The keys of the older map are paths, so only the newer form has `info`.
    let top: Top = serde_json::from_slice(&bytes).map_err(wrong)?;
    let Some(info) = top.info else {
        return from_text(&bytes, Form::Map, store_dir);
    };
    check_store_dir(top.store_dir.as_deref(), store_dir)?;
    from_text(info.get().as_bytes(), Form::Map, store_dir)
}

/// Reads an attribute that `exportReferencesGraph` filled in, from the parsed `.attrs.json` of a builder.
///
/// ```
/// use storeboot_closure::{StoreDir, graph_from_value};
///
/// let attrs: serde_json::Value = serde_json::from_str(r#"{ "closure": [ {
///     "path": "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello", "references": [],
///     "narHash": "sha256:09ymwqf5i9q7d4dm7x4pjjcqqj0qrcp5lnznbh42gfsci5hcbqqm", "narSize": 226552 } ] }"#)?;
/// let closure = graph_from_value(attrs["closure"].clone(), &StoreDir::default())?;
/// assert_eq!(closure.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn graph_from_value(value: serde_json::Value, store_dir: &StoreDir) -> Result<Closure, Error> {
    closure(value, Form::List, store_dir)
}

/// Reads the list form.
pub(crate) fn graph(bytes: &[u8], store_dir: &StoreDir) -> Result<Closure, Error> {
    from_text(bytes, Form::List, store_dir)
}

fn from_text(bytes: &[u8], form: Form, store_dir: &StoreDir) -> Result<Closure, Error> {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let closure = closure(&mut text, form, store_dir)?;
    text.end().map_err(wrong)?;
    Ok(closure)
}

fn closure<'de>(
    json: impl Deserializer<'de, Error = serde_json::Error>,
    form: Form,
    store_dir: &StoreDir,
) -> Result<Closure, Error> {
    let mut failed = None;
    let paths = Paths {
        store_dir,
        form,
        failed: &mut failed,
    };
    let infos = match form {
        Form::List => json.deserialize_seq(paths),
        Form::Map => json.deserialize_map(paths),
    };
    match failed {
        Some(error) => Err(error),
        None => Closure::new(store_dir.clone(), infos.map_err(wrong)?),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Map,
}

/// What tells the newer form from the older ones.
#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(rename = "storeDir")]
    store_dir: Option<String>,
}

/// What is read of a path. The forms have more (signatures, `closureSize`, `registrationTime`…), and newer ones will
/// have more still.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    path: Option<String>,
    valid: Option<bool>,
    nar_hash: Option<Hash>,
    nar_size: Option<u64>,
    references: Option<Vec<String>>,
    deriver: Option<String>,
    store_dir: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Hash {
    Text(String),
    Parts { algorithm: String, hash: String },
}

impl Info {
    fn read(self, path: &str, store_dir: &StoreDir) -> Result<PathInfo, Error> {
        if self.valid == Some(false) {
            return Err(Error::Invalid {
                path: beginning(path.as_bytes()),
            });
        }
        check_store_dir(self.store_dir.as_deref(), store_dir)?;
        let path = store_path(path, store_dir)?;
        let Some(references) = self.references else {
            let path = store_dir.render_path(&path);
            return Err(wrong(format!("{path} has no list of references")));
        };
        let references = references
            .iter()
            .map(|reference| store_path(reference, store_dir))
            .collect::<Result<Vec<_>, _>>()?;
        let mut info = PathInfo::new(path, references);
        info.nar_hash = self.nar_hash.map(Hash::read).transpose()?;
        info.nar_size = self.nar_size.and_then(known);
        info.deriver = match self.deriver.as_deref() {
            None | Some("" | "unknown-deriver") => None,
            Some(deriver) => Some(store_path(deriver, store_dir)?),
        };
        Ok(info)
    }
}

impl Hash {
    fn read(self) -> Result<NarHash, Error> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Parts { algorithm, hash } => format!("{algorithm}:{hash}").parse(),
        }
    }
}

/// Parses a full path, or the base name that the newer forms have.
fn store_path(text: &str, store_dir: &StoreDir) -> Result<StorePath, Error> {
    if text.starts_with('/') {
        return parse_path(text.as_bytes(), store_dir);
    }
    let full = format!("{}/{text}", store_dir.as_str().trim_end_matches('/'));
    parse_path(full.as_bytes(), store_dir)
}

fn check_store_dir(found: Option<&str>, store_dir: &StoreDir) -> Result<(), Error> {
    match found {
        Some(found) if found != store_dir.as_str() => Err(wrong(format!(
            "it describes the store {:?}, not {store_dir}",
            beginning(found.as_bytes())
        ))),
        _ => Ok(()),
    }
}

fn wrong(reason: impl ToString) -> Error {
    Error::Json {
        reason: beginning(reason.to_string().as_bytes()),
    }
}

/// Takes the paths out of the JSON one by one, so that no second copy of the whole text is in memory.
struct Paths<'a> {
    store_dir: &'a StoreDir,
    form: Form,
    /// What is wrong with a path, where the JSON itself is right.
    failed: &'a mut Option<Error>,
}

impl Paths<'_> {
    fn add<E: serde::de::Error>(
        &mut self,
        infos: &mut Vec<PathInfo>,
        path: Option<&str>,
        info: Option<Info>,
    ) -> Result<(), E> {
        let read = || {
            if infos.len() == MAX_PATHS {
                return Err(Error::TooManyPaths { limit: MAX_PATHS });
            }
            let path = path.ok_or_else(|| wrong("a store path's object has no path"))?;
            let info = info.ok_or_else(|| Error::Invalid {
                path: beginning(path.as_bytes()),
            })?;
            info.read(path, self.store_dir)
        };
        match read() {
            Ok(info) => {
                infos.push(info);
                Ok(())
            }
            Err(error) => {
                *self.failed = Some(error);
                Err(E::custom("this error is replaced by `failed`"))
            }
        }
    }
}

impl<'de> Visitor<'de> for Paths<'_> {
    type Value = Vec<PathInfo>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            Form::List => "a list of store paths",
            Form::Map => "an object whose members are store paths",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut infos = Vec::new();
        while let Some(mut info) = list.next_element::<Info>()? {
            let path = info.path.take();
            self.add(&mut infos, path.as_deref(), Some(info))?;
        }
        Ok(infos)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut infos = Vec::new();
        // Not collected into a map: of two members with one name, it would keep the last one in silence.
        while let Some((path, info)) = map.next_entry::<String, Option<Info>>()? {
            self.add(&mut infos, Some(&path), info)?;
        }
        Ok(infos)
    }
}
