//! The iPXE script that a server writes for one machine.

use super::fetch_options::names_store;
use super::ipxe_script::{Ending, Fetch, ipxe_script};
use crate::manifest::{FileKind, Manifest};
use crate::{Error, Layout};

/// Writes an iPXE script that boots a netboot directory, for a server that tells machines apart.
///
/// It does what the directory's own `netboot.ipxe` does, with more arguments and archives, from a place that need not be
/// the script's own. `place` is the URL of the folder with the directory's files, and ends in `/`. `more` is added to
/// the command line. `archives` are URLs of archives that the kernel unpacks after the initrd.
///
/// It waits for nobody: where files cannot be loaded for ten minutes, or the kernel does not start, it ends and so leads
/// back to the script that chained to it, which can ask the server again.
///
/// # Errors
/// [`Error::CommandLine`] where iPXE or the kernel would change or cut the command line.
///
/// ```
/// use storeboot::{machine_script, manifest::Manifest};
///
/// fn script(manifest: &Manifest) -> Result<String, storeboot::Error> {
///     machine_script(manifest, "http://192.0.2.1/a/", "systemd.hostname=node1", &[])
/// }
/// ```
pub fn machine_script(
    manifest: &Manifest,
    place: &str,
    more: &str,
    archives: &[String],
) -> Result<String, Error> {
    let mut command_line = manifest.command_line.clone();
    let more = [more, &store(manifest, place, more)];
    // The manifest may come from anywhere, and a line's end would begin another command of iPXE.
    for words in more.into_iter().chain([&*manifest.command_line]) {
        if let Some(control) = words.chars().find(|c| c.is_control()) {
            return Err(Error::CommandLine(format!("it holds {control:?}")));
        }
    }
    for words in more {
        if !words.is_empty() {
            command_line.push(' ');
            command_line.push_str(words);
        }
    }
    let initrd = manifest
        .files
        .iter()
        .find(|file| file.kind == FileKind::Initrd)
        .map_or("initrd", |file| &file.name);
    let initrds: Vec<String> = std::iter::once(format!("{place}{initrd}"))
        .chain(archives.iter().cloned())
        .collect();
    let initrds: Vec<&str> = initrds.iter().map(String::as_str).collect();
    let kernel = format!("{place}{}", manifest.kernel.file);
    let fetch = (manifest.layout == Layout::Fetch).then_some(Fetch { has_url: true });
    ipxe_script(
        "the script",
        &kernel,
        &command_line,
        &initrds,
        fetch,
        false,
        Ending::Back,
    )
}

/// The word that tells stage 1 where the images are, unless the command line has it already.
fn store(manifest: &Manifest, place: &str, more: &str) -> String {
    let has_place = names_store(&manifest.command_line) || names_store(more);
    match manifest.layout {
        Layout::Fetch if !has_place => format!("storeboot.store={place}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(layout: &str, command_line: &str) -> Manifest {
        let text = serde_json::json!({
            "schema": 1, "layout": layout, "init": "/nix/store/x/init", "commandLine": command_line, "memory": 0,
            "kernel": { "file": "bzImage", "version": "6.12", "architecture": "x86_64" },
            "closure": { "paths": 0, "narSize": 0 },
            "files": [{ "name": "initrd", "kind": "initrd", "size": 1, "sha256": "" }],
            "segments": [], "images": [],
        });
        Manifest::from_json(&text.to_string()).unwrap()
    }

    fn script(layout: &str, command_line: &str, more: &str, archives: &[&str]) -> String {
        let archives: Vec<String> = archives.iter().map(|url| (*url).to_owned()).collect();
        machine_script(
            &manifest(layout, command_line),
            "http://h/a/",
            more,
            &archives,
        )
        .unwrap()
    }

    #[test]
    fn a_machine_gets_its_words_and_archives() {
        let script = script("in-place", "init=/i quiet", "a=b", &["http://h/keys/1"]);
        assert!(script.contains(
            "\nkernel http://h/a/bzImage init=/i quiet a=b initrd=initrd initrd=1 ${cmdline} ||"
        ));
        assert!(script.contains("\ninitrd http://h/a/initrd ||"));
        assert!(script.contains("\ninitrd http://h/keys/1 ||"));
        assert!(!script.contains("storeboot.store="));
    }

    #[test]
    fn a_machine_waits_for_no_key() {
        let script = script("in-place", "init=/i", "", &[]);
        let prompts = script.lines().filter(|line| line.starts_with("prompt"));
        for prompt in prompts {
            assert!(prompt.starts_with("prompt --timeout ") && prompt.ends_with(" ||"));
        }
        assert!(script.contains("iseq ${storeboot-failures} 120 &&"));
        assert!(script.ends_with("\nimgfree\nexit 1\n"));
    }

    #[test]
    fn a_manifest_adds_no_command_of_ipxe() {
        for line in ["init=/i\nshell", "init=/i\u{7f}", "init=/i\r"] {
            let manifest = manifest("in-place", line);
            let error = machine_script(&manifest, "http://h/a/", "", &[]).unwrap_err();
            assert!(error.to_string().contains("it holds"), "{error}");
        }
    }

    #[test]
    fn layout_fetch_gets_the_place_of_its_images_once() {
        let own = script("fetch", "init=/i", "", &[]);
        assert!(own.contains("bzImage init=/i storeboot.store=http://h/a/ initrd=initrd"));
        assert!(own.contains("ip=${ip}"));
        let built = script("fetch", "init=/i storeboot.store=http://m/", "", &[]);
        assert_eq!(built.matches("storeboot.store=").count(), 1);
    }

    #[test]
    fn no_words_break_the_script() {
        let manifest = manifest("file", "init=/i");
        assert!(machine_script(&manifest, "http://h/", "a\nshell", &[]).is_err());
        assert!(machine_script(&manifest, "http://h/", &"a".repeat(3000), &[]).is_err());
    }
}
