//! A software bill of materials of what a netboot directory boots, in CycloneDX 1.5.
//!
//! It has a component for each store path of the closure, and for the kernel's file. The format is the JSON of
//! <https://cyclonedx.org/docs/1.5/json/>. What may differ between two builds of the same closure (a serial number, a
//! time) is left out; the format demands neither.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use storeboot_closure::{Closure, PathInfo};

use crate::package::name_and_version;

/// The kernel that the netboot directory boots.
pub(crate) struct KernelFile<'a> {
    /// `bzImage` or `Image`.
    pub(crate) name: &'a str,
    /// Its release, as `uname -r` prints it.
    pub(crate) release: &'a str,
    /// Its SHA-256 in hexadecimal digits.
    pub(crate) sha256: &'a str,
}

/// Writes the bill. `init` is the program of the closure that stage 1 starts.
pub(crate) fn write(
    closure: &Closure,
    init: &str,
    kernel: &KernelFile<'_>,
    mut out: impl Write,
) -> io::Result<()> {
    let bill = Bill {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            tools: Tools {
                components: [Tool {
                    kind: "application",
                    name: "storeboot",
                    version: env!("CARGO_PKG_VERSION"),
                }],
            },
            component: System {
                kind: "operating-system",
                name: init,
            },
        },
        components: Components { closure, kernel },
        dependencies: Dependencies(closure),
    };
    serde_json::to_writer_pretty(&mut out, &bill)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata<'a>,
    components: Components<'a>,
    dependencies: Dependencies<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    tools: Tools,
    component: System<'a>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct System<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
}

/// Written one by one: a closure may have a hundred thousand paths.
struct Components<'a> {
    closure: &'a Closure,
    kernel: &'a KernelFile<'a>,
}

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let paths = self.closure.paths();
        let paths = paths.map(|info| Component::of_path(self.closure, info));
        serializer.collect_seq(std::iter::once(Component::of_kernel(self.kernel)).chain(paths))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

impl Component {
    fn of_kernel(kernel: &KernelFile<'_>) -> Self {
        Self {
            kind: "operating-system",
            reference: kernel.name.into(),
            name: "linux".into(),
            version: kernel.release.into(),
            hashes: vec![Hash {
                alg: "SHA-256",
                content: kernel.sha256.into(),
            }],
            purl: None,
            properties: Vec::new(),
        }
    }

    /// The hash of a NAR is a property: a component's own hashes are those of a file.
    fn of_path(closure: &Closure, info: &PathInfo) -> Self {
        let (name, version) = name_and_version(info.path.name());
        let mut properties = vec![property("nix:store_path", closure.render(&info.path))];
        if let Some(hash) = info.nar_hash {
            properties.push(property(
                "nix:nar_hash",
                format!("sha256:{}", hash.to_nix32()),
            ));
        }
        if let Some(size) = info.nar_size {
            properties.push(property("nix:nar_size", size.to_string()));
        }
        if let Some(deriver) = &info.deriver {
            properties.push(property("nix:deriver", closure.render(deriver)));
        }
        Self {
            kind: "application",
            reference: info.path.to_basename(),
            name: name.into(),
            version: version.into(),
            hashes: Vec::new(),
            purl: Some(package_url(name, version)),
            properties,
        }
    }
}

fn property(name: &'static str, value: String) -> Property {
    Property { name, value }
}

/// Which component needs which others.
struct Dependencies<'a>(&'a Closure);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

impl Serialize for Dependencies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.paths().map(|info| {
            let others = info.references.iter().filter(|path| **path != info.path);
            Dependency {
                reference: info.path.to_basename(),
                depends_on: others.map(|path| path.to_basename()).collect(),
            }
        }))
    }
}

/// A package URL, as <https://github.com/package-url/purl-spec> has it; `nix` is the type that other tools use, too.
fn package_url(name: &str, version: &str) -> String {
    let mut url = String::from("pkg:nix/");
    percent(name, &mut url);
    if !version.is_empty() {
        url.push('@');
        percent(version, &mut url);
    }
    url
}

fn percent(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_escaped() {
        assert_eq!(package_url("hello", "2.12"), "pkg:nix/hello@2.12");
        assert_eq!(package_url("gtk+", ""), "pkg:nix/gtk%2B");
    }
}
