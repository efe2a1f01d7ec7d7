//! Names of modules: `-` and `_` are the same, and the kernel writes `_`.

use std::path::Path;

/// Longest name: `MODULE_NAME_LEN` is 64 less the size of a pointer.
const NAME_MAX: usize = 56;

/// The name as the kernel writes it. `None`: no module has such a name.
pub(super) fn normal(name: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    let fine = !name.is_empty() && name.len() < NAME_MAX && name.bytes().all(fits);
    // It becomes part of a file's name, so it must not begin with a dot.
    (fine && !name.starts_with('.')).then(|| underscores(name))
}

/// The text with `_` for each `-`, as kmod compares names and aliases.
pub(super) fn underscores(text: &str) -> String {
    text.replace('-', "_")
}

/// The name of the module in a file `name.ko`, `name.ko.xz` and so on.
pub(super) fn of_file(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (stem, ending) = file.split_at(file.find(".ko")?);
    let known = matches!(ending, ".ko" | ".ko.xz" | ".ko.zst" | ".ko.gz");
    known.then(|| normal(stem)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_become_underscores() {
        assert_eq!(normal("virtio-net").as_deref(), Some("virtio_net"));
        for bad in ["", "a/b", "..", "a b", "a\0", "naïve", &"x".repeat(56)] {
            assert_eq!(normal(bad), None, "{bad}");
        }
    }

    #[test]
    fn files_of_modules_are_known_by_their_endings() {
        let name = |path: &str| of_file(Path::new(path));
        assert_eq!(name("/a/dm-mod.ko.xz").as_deref(), Some("dm_mod"));
        assert_eq!(name("loop.ko").as_deref(), Some("loop"));
        for other in [
            "loop.o",
            "loop.ko.bz2",
            "loop.ko.xz.sig",
            ".ko",
            "modules.dep",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
