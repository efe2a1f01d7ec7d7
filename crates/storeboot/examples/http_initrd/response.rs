//! Sends a file of the netboot directory, with an archive appended to the initrd.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use storeboot::manifest::{FileEntry, FileKind, Manifest};

use crate::machine;
use crate::request::Request;

/// Looks up the requested file, and sends it.
pub fn write(request: &Request, folder: &Path, mut out: impl Write) -> io::Result<()> {
    let with_body = match request.method.as_str() {
        "GET" => true,
        "HEAD" => false,
        _ => return refuse(out, "405 Method Not Allowed", "there is only GET and HEAD"),
    };
    // Read the manifest for each request, since a build may have replaced the directory.
    let manifest = fs::read_to_string(folder.join("manifest.json"))
        .and_then(|text| Manifest::from_json(&text).map_err(io::Error::other));
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            eprintln!("http_initrd: cannot read the manifest: {error}");
            return refuse(out, "503 Service Unavailable", "there is no manifest");
        }
    };
    let Some((entry, machine)) = find(&manifest, &request.path) else {
        return refuse(out, "404 Not Found", "the manifest names no such file");
    };
    let behind = match machine {
        Some(name) if entry.kind == FileKind::Initrd => {
            machine::archive(name).map_err(io::Error::other)?
        }
        _ => Vec::new(),
    };
    let file = File::open(folder.join(&entry.name));
    let (mut file, size) = match file.and_then(|file| Ok((file.metadata()?.len(), file))) {
        Ok((size, file)) if size == entry.size => (file, size),
        // The file is of another build, or damaged. A machine that boots it would fail later and less clearly.
        _ => {
            return refuse(
                out,
                "503 Service Unavailable",
                "the file is not as in the manifest",
            );
        }
    };

    let whole = size + behind.len() as u64;
    // The tag identifies the bytes: the machine's name determines the appended archive.
    let tag = format!("\"{}{}\"", entry.sha256, machine.unwrap_or_default());
    let asked = request
        .range
        .filter(|_| request.if_range.as_ref().is_none_or(|known| *known == tag));
    let (status, first, length) = match asked.map(|range| range.within(whole)) {
        None => ("200 OK", 0, whole),
        Some(Some((first, length))) => ("206 Partial Content", first, length),
        Some(None) => {
            let range = format!("Content-Range: bytes */{whole}\r\n");
            return head(&mut out, "416 Range Not Satisfiable", 0, &range);
        }
    };
    let mut more = format!("ETag: {tag}\r\nAccept-Ranges: bytes\r\n");
    if status.starts_with("206") {
        let last = first + length - 1;
        more += &format!("Content-Range: bytes {first}-{last}/{whole}\r\n");
    }
    head(&mut out, status, length, &more)?;
    if !with_body {
        return Ok(());
    }
    file.seek(SeekFrom::Start(first.min(size)))?;
    let mut archive = Cursor::new(behind);
    archive.set_position(first.saturating_sub(size));
    let sent = io::copy(
        &mut file
            .take(size.saturating_sub(first))
            .chain(archive)
            .take(length),
        &mut out,
    )?;
    if sent < length {
        return Err(io::Error::other(format!("{} became shorter", entry.name)));
    }
    out.flush()
}

/// Finds the file of the manifest for a path: its name, or its name below a machine's name. No other file is served.
fn find<'a, 'b>(manifest: &'a Manifest, path: &'b str) -> Option<(&'a FileEntry, Option<&'b str>)> {
    let named = |name: &str| manifest.files.iter().find(|file| file.name == name);
    let path = path.strip_prefix('/')?;
    if let Some(entry) = named(path) {
        return Some((entry, None));
    }
    let (machine, name) = path.split_once('/')?;
    let entry = named(name)?;
    machine::is_a_name(machine).then_some((entry, Some(machine)))
}

/// Sends an error with its reason in plain text.
pub fn refuse(mut out: impl Write, status: &str, why: &str) -> io::Result<()> {
    let body = format!("{why}\n");
    head(
        &mut out,
        status,
        body.len() as u64,
        "Content-Type: text/plain\r\n",
    )?;
    out.write_all(body.as_bytes())
}

fn head(out: &mut impl Write, status: &str, length: u64, more: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
    )
}
