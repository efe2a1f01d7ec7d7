//! Signs a netboot directory.

use std::io::Write;
use std::path::Path;

use super::manifest_file::{SignedManifest, read_signatures};
use super::verify::compare_files;
use crate::output::{SIGNATURES, write_file};
use crate::{Context, Error, SecretKey};

/// Signs the netboot directory at `folder`: writes `manifest.json.sig`, or adds to it what other keys have signed
/// already. The same key writes the same bytes each time.
///
/// Each file is compared with the manifest first, so that nobody signs a directory that is damaged.
///
/// # Errors
/// [`Error::Fault`] where a file is not as the manifest says; [`Error::Write`] where the signature cannot be written, as
/// in the Nix store.
///
/// ```no_run
/// use storeboot::{Context, SecretKey, sign};
///
/// let key = SecretKey::read("/etc/nix/secret-key".as_ref())?;
/// sign("netboot".as_ref(), &key, &Context::new())?;
/// # Ok::<(), storeboot::Error>(())
/// ```
pub fn sign(folder: &Path, key: &SecretKey, context: &Context<'_>) -> Result<(), Error> {
    let signed = sign_checked(folder, key, context);
    context.token().settle(signed)
}

fn sign_checked(folder: &Path, key: &SecretKey, context: &Context<'_>) -> Result<(), Error> {
    let SignedManifest { manifest, text, .. } = SignedManifest::read(folder, &[])?;
    compare_files(folder, &manifest, context)?;
    let mut signatures = read_signatures(folder)?.unwrap_or_default();
    signatures.add(text.as_bytes(), key);
    let path = folder.join(SIGNATURES);
    write_file(&path, |file| {
        file.write_all(signatures.to_string().as_bytes())
            .map_err(Error::write(&path))
    })
}
