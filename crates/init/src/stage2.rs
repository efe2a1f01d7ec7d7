//! Stage 2: the program that `init=` names.

use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ffi::CStr;

use crate::error::Error;
use crate::paths::c_path;
use crate::sys::{self, Errno, FileKind};

/// Checks that the program is there, while an exact message is still possible. Call it when `/` is the booted system's:
/// NixOS's `init` may be a symbolic link within the store.
pub(crate) fn check(path: &str) -> Result<(), Error> {
    if !path.starts_with('/') {
        return Err(Error::InitNotAbsolute(path.into()));
    }
    let unreadable = |errno| Error::InitUnreadable {
        path: path.into(),
        errno,
    };
    let c = c_path(path).map_err(unreadable)?;
    match sys::stat(&c).map(|stat| stat.kind) {
        Ok(FileKind::File) => {
            sys::access_execute(&c).map_err(|_| Error::InitNotExecutable(path.into()))
        }
        Ok(FileKind::Directory) => Err(Error::InitIsDirectory(path.into())),
        Ok(FileKind::Link | FileKind::Other) => Err(Error::InitNotExecutable(path.into())),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Err(missing(path, &c)),
        Err(errno) => Err(unreadable(errno)),
    }
}

fn missing(path: &str, c: &CStr) -> Error {
    match sys::lstat(c).and_then(|_| sys::read_link(c)) {
        Ok(target) => {
            let target = String::from_utf8_lossy(&target).into_owned();
            Error::InitDangling {
                path: path.into(),
                target,
            }
        }
        Err(_) => Error::InitMissing(path.into()),
    }
}

/// Executes the program, with the arguments and the environment that the kernel gave stage 1.
pub(crate) fn start(path: &str, args: &[&CStr], env: &[&CStr]) -> Result<Infallible, Error> {
    let failed = |errno| Error::InitNotStarted {
        path: path.into(),
        errno,
    };
    let c = c_path(path).map_err(failed)?;
    let own_name = [c.as_c_str()];
    let args: Vec<&CStr> = own_name
        .into_iter()
        .chain(args.iter().copied().skip(1))
        .collect();
    sys::execute(&c, &args, env).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn every_wrong_init_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        fs::create_dir_all(base.join("dir")).unwrap();
        fs::write(base.join("plain"), "").unwrap();
        fs::write(base.join("program"), "").unwrap();
        fs::set_permissions(base.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("program", base.join("link")).unwrap();
        symlink("/no/where", base.join("dangling")).unwrap();
        let said = |name: &str| check(base.join(name).to_str().unwrap());

        assert!(said("program").is_ok());
        assert!(said("link").is_ok());
        assert!(matches!(said("plain"), Err(Error::InitNotExecutable(_))));
        assert!(matches!(said("dir"), Err(Error::InitIsDirectory(_))));
        assert!(matches!(said("missing"), Err(Error::InitMissing(_))));
        assert!(matches!(said("plain/init"), Err(Error::InitMissing(_))));
        assert!(
            matches!(said("dangling"), Err(Error::InitDangling { target, .. }) if target == "/no/where")
        );
        assert!(matches!(check("bin/sh"), Err(Error::InitNotAbsolute(_))));
    }
}
