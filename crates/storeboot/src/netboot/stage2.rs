//! The program that stage 1 starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::{Error, Store};

/// `init` must be a program of the closure.
pub(crate) fn check(store: &Store, init: &str) -> Result<(), Error> {
    let refuse = |reason: &str| {
        Err(Error::Init {
            init: init.into(),
            reason: reason.into(),
        })
    };
    let file = match store.find(init) {
        Ok(file) => file,
        Err(reason) => return refuse(&reason),
    };
    match fs::symlink_metadata(&file) {
        Err(error) => refuse(&error.to_string()),
        // Where a link leads is known only in the booted system; stage 1 looks.
        Ok(metadata) if metadata.is_symlink() => Ok(()),
        Ok(metadata) if !metadata.is_file() => refuse("it is not a file"),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            refuse("it is not executable")
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store_of;

    #[test]
    fn several_slashes_do_not_lead_to_a_program_of_this_machine() {
        const SYSTEM: &str = "11111111111111111111111111111111-system";
        let (_scratch, store, place) = store_of(SYSTEM);
        // No machine has this file at its root, and every machine has the other one.
        let program = place.join("init of this test");
        fs::write(&program, "#!/bin/sh\n").expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        let result = check(&store, &format!("/nix/store/{SYSTEM}//init of this test"));
        assert!(result.is_ok(), "{result:?}");
        let error =
            check(&store, &format!("/nix/store/{SYSTEM}//bin/sh")).expect_err("no such file");
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
