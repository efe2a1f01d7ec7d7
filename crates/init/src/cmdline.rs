//! The kernel command line.

use alloc::string::String;
use alloc::vec::Vec;

/// The words of the command line that stage 1 reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cmdline {
    /// The program to start: the last `init=`, as for the kernel itself.
    pub init: Option<String>,
    /// `storeboot.debug`
    pub debug: bool,
    /// `storeboot.verify`
    pub verify: bool,
    /// `storeboot.ro-store`
    pub read_only_store: bool,
    /// `retain_initrd`
    pub retain_initrd: bool,
}

impl Cmdline {
    /// Parses the text of `/proc/cmdline`. Words after `--` are for stage 2 only.
    pub(crate) fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for word in words(text.trim_end())
            .iter()
            .take_while(|word| *word != "--")
        {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            match name {
                "init" => found.init = value.filter(|path| !path.is_empty()).map(String::from),
                "storeboot.debug" => found.debug = is_on(value),
                "storeboot.verify" => found.verify = is_on(value),
                "storeboot.ro-store" => found.read_only_store = is_on(value),
                "retain_initrd" => found.retain_initrd = true,
                _ => {}
            }
        }
        found
    }
}

/// A bare name means yes, and so does any value that the kernel does not read as no.
fn is_on(value: Option<&str>) -> bool {
    !matches!(value, Some("0" | "n" | "N" | "no" | "off" | "false"))
}

/// Splits as the kernel does: at white space outside of double quotes; the quotes themselves are dropped.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => words.push(core::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(text: &str) -> Option<String> {
        Cmdline::parse(text).init
    }

    #[test]
    fn the_last_init_before_the_dashes_counts() {
        assert_eq!(
            init("console=ttyS0 init=/a root=/dev/sda init=/b quiet\n").as_deref(),
            Some("/b")
        );
        assert_eq!(init("init=/a -- init=/b"), Some("/a".into()));
        assert_eq!(init("rdinit=/a xinit=/b init"), None);
        assert_eq!(init("init=/a init="), None);
        assert_eq!(init(""), None);
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words(r#"a "b c"  d="e f"g	h"#), ["a", "b c", "d=e fg", "h"]);
        assert_eq!(
            init(r#"dyndbg="file x.c +p; init=/no" init="/a b""#).as_deref(),
            Some("/a b")
        );
        assert_eq!(init(r#"x="never closed init=/a"#), None);
    }

    #[test]
    fn switches() {
        let all =
            Cmdline::parse("storeboot.debug storeboot.verify=1 storeboot.ro-store=y retain_initrd");
        assert!(all.debug && all.verify && all.read_only_store && all.retain_initrd);
        assert_eq!(
            Cmdline::parse("storeboot.debug=0 storeboot.verify=no storeboot.debugx"),
            Cmdline::default()
        );
        assert!(!Cmdline::parse("storeboot.debug storeboot.debug=off").debug);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in ".{0,200}") {
            Cmdline::parse(&text);
        }
    }
}
