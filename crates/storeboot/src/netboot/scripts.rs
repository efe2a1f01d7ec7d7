//! The kernel's command line, and the script that hands it to kexec.

use crate::{Error, Layout};

/// Longest command line, without its final NUL: `COMMAND_LINE_SIZE` of the kernel's
/// `arch/{x86,arm64}/include/uapi/asm/setup.h`.
pub(crate) const COMMAND_LINE_MAX: usize = 2047;

/// Joins `init=`, the arguments that the build calls for and what the user wants; refuses what the kernel would cut or
/// misread.
pub(crate) fn command_line(init: &str, arguments: &[String], user: &str) -> Result<String, Error> {
    let refuse = |reason: String| Err(Error::CommandLine(reason));
    if init
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '"')
    {
        return refuse(format!(
            "the kernel cannot take the path {init:?} as one word"
        ));
    }
    if let Some(control) = user.chars().find(|c| c.is_control()) {
        return refuse(format!("it holds {control:?}"));
    }
    if user
        .split_whitespace()
        .any(|word| word.starts_with("init="))
    {
        return refuse("it names an init= of its own, beside the init to start".into());
    }
    let mut line = format!("init={init}");
    // What the user wrote stays as it is: blanks inside of quotes count.
    let words = arguments.iter().map(String::as_str).chain([user.trim()]);
    for word in words.filter(|word| !word.is_empty()) {
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > COMMAND_LINE_MAX {
        return refuse(format!(
            "it has {} bytes and the kernel takes {COMMAND_LINE_MAX}",
            line.len()
        ));
    }
    Ok(line)
}

/// `kexec-boot`: boots from a running Linux.
///
/// It has to run on whatever Linux is there: on a POSIX shell, with the programs of POSIX, `readlink -f` and `mktemp`.
///
/// In layout `fetch` it tells stage 1 how the running system is on the network.
pub(crate) fn kexec_script(kernel: &str, command_line: &str, layout: Layout) -> String {
    let quoted = command_line.replace('\'', r"'\''");
    let network = match layout {
        Layout::Fetch => include_str!("kexec-network.sh"),
        _ => "",
    };
    include_str!("kexec-boot.sh")
        .replace("@network@", network)
        .replace("@kernel@", kernel)
        .replace("@command_line@", &quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_begins_with_init() {
        let line = command_line(
            "/nix/store/x/init",
            &["retain_initrd".into()],
            " console=ttyS0  quiet ",
        );
        assert_eq!(
            line.expect("sound"),
            "init=/nix/store/x/init retain_initrd console=ttyS0  quiet"
        );
    }

    #[test]
    fn what_the_kernel_would_misread_is_refused() {
        for (init, user) in [
            ("/nix/store/x y/init", ""),
            ("/nix/store/x/init", "a\nb"),
            ("/nix/store/x/init", "quiet init=/bin/sh"),
            ("/nix/store/x/init", "x".repeat(2100).as_str()),
        ] {
            assert!(command_line(init, &[], user).is_err(), "{init} {user}");
        }
    }

    #[test]
    fn a_quote_in_the_command_line_survives_the_shell() {
        let script = kexec_script("bzImage", "init=/x a='b'", Layout::File);
        assert!(
            script.contains(r"command_line='init=/x a='\''b'\'''"),
            "{script}"
        );
    }
}
