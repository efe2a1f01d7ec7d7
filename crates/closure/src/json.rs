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
use std::marker::PhantomData;

use nix_derivation::{StoreDir, StorePath};
use serde::Deserialize;
use serde::de::{DeserializeOwned, MapAccess, Visitor};

use crate::limits::{MAX_PATHS, read_all};
use crate::text::{known, parse_path, short};
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
    // A map's only keys are paths, so `info` can be nothing but the newer form.
    let top: Entries<serde::de::IgnoredAny> = parse(&bytes)?;
    if top.0.iter().any(|(key, _)| key == "info") {
        let wrapped: Wrapped = parse(&bytes)?;
        check_store_dir(wrapped.store_dir.as_deref(), store_dir)?;
        return from_map(wrapped.info.0, store_dir);
    }
    from_map(parse::<Entries<Option<Info>>>(&bytes)?.0, store_dir)
}

/// Takes the value of an attribute that `exportReferencesGraph` filled in, already parsed out of
/// a builder's `.attrs.json`.
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
    from_list(serde_json::from_value(value).map_err(wrong)?, store_dir)
}

/// The list form.
pub(crate) fn graph(bytes: &[u8], store_dir: &StoreDir) -> Result<Closure, Error> {
    from_list(parse(bytes)?, store_dir)
}

fn from_list(list: Vec<Info>, store_dir: &StoreDir) -> Result<Closure, Error> {
    let infos = list
        .into_iter()
        .map(|info| {
            let Some(path) = info.path.clone() else {
                return Err(wrong("a store path's object has no path"));
            };
            info.read(&path, store_dir)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Closure::new(store_dir.clone(), infos)
}

fn from_map(map: Vec<(String, Option<Info>)>, store_dir: &StoreDir) -> Result<Closure, Error> {
    let infos = map
        .into_iter()
        .map(|(path, info)| match info {
            Some(info) => info.read(&path, store_dir),
            None => Err(Error::Invalid {
                path: short(path.as_bytes()),
            }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Closure::new(store_dir.clone(), infos)
}

#[derive(Deserialize)]
struct Wrapped {
    info: Entries<Option<Info>>,
    #[serde(rename = "storeDir")]
    store_dir: Option<String>,
}

/// What the forms say of a path. They say more (signatures, `closureSize`, `registrationTime`…)
/// that is not of use here, and newer ones will say more still.
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
                path: short(path.as_bytes()),
            });
        }
        check_store_dir(self.store_dir.as_deref(), store_dir)?;
        let mut info = PathInfo::new(store_path(path, store_dir)?, []);
        let Some(references) = self.references else {
            let path = store_dir.render_path(&info.path);
            return Err(wrong(format!("{path} has no list of references")));
        };
        for reference in references {
            info.references.insert(store_path(&reference, store_dir)?);
        }
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

/// A path in full, or its base name in the newer forms.
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
            "it is about the store {:?}, not about {store_dir}",
            short(found.as_bytes())
        ))),
        _ => Ok(()),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(wrong)
}

fn wrong(reason: impl ToString) -> Error {
    Error::Json {
        reason: short(reason.to_string().as_bytes()),
    }
}

/// An object's members as they come. A map would let the last of two with one name win in silence.
struct Entries<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose members are store paths")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MAX_PATHS {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}
