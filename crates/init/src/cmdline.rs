//! The kernel command line.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::verity::OnCorruption;

/// How long nothing may arrive before stage 1 gives up, unless `storeboot.patience` says otherwise.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long the booted system runs before the rest of its store is fetched, unless `storeboot.rest-after` says otherwise.
const REST_AFTER: Duration = Duration::from_secs(30);

/// The words of the command line that stage 1 reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cmdline {
    /// The program to start: the last `init=`, as for the kernel itself.
    pub init: Option<String>,
    /// `storeboot.debug`
    pub debug: bool,
    /// `storeboot.verify`
    pub verify: bool,
    /// `storeboot.verity`
    pub on_corruption: OnCorruption,
    /// `storeboot.ro-store`
    pub read_only_store: bool,
    /// `storeboot.profile`
    pub profile: bool,
    /// `retain_initrd`
    pub retain_initrd: bool,
    /// `storeboot.store`: the places of the store images, in order.
    pub store: Vec<String>,
    /// `storeboot.keep`: the disk that keeps the store images.
    pub keep: Option<String>,
    /// `storeboot.keep-network`
    pub keep_network: bool,
    /// `storeboot.stream`, as turned around: whether all is fetched before stage 2 starts, whatever the index says.
    pub all_first: bool,
    /// `storeboot.rest-after`, in seconds.
    rest_after: Option<u64>,
    /// `storeboot.patience`, in seconds.
    patience: Option<u64>,
    /// The words that set up the network, whole and in order: `ip=`, `nameserver=`, `vlan=` and `BOOTIF=`.
    pub network: Vec<String>,
    /// Words of storeboot's own whose value makes no sense. They count for nothing.
    pub ignored: Vec<String>,
    /// The last word that asks for protection in a way that is not known. No boot may go on without it.
    pub refused: Option<String>,
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
                "storeboot.verity" => match OnCorruption::parse(value.unwrap_or_default()) {
                    Some(choice) => found.on_corruption = choice,
                    None => found.refused = Some(word.clone()),
                },
                "storeboot.ro-store" => found.read_only_store = is_on(value),
                "storeboot.profile" => found.profile = is_on(value),
                "retain_initrd" => found.retain_initrd = true,
                "storeboot.store" => {
                    let urls = value.unwrap_or_default().split(',');
                    found
                        .store
                        .extend(urls.filter(|url| !url.is_empty()).map(String::from));
                }
                "storeboot.keep" => {
                    found.keep = value.filter(|place| !place.is_empty()).map(String::from);
                }
                "storeboot.keep-network" => found.keep_network = is_on(value),
                "storeboot.stream" => found.all_first = !is_on(value),
                "storeboot.patience" | "storeboot.rest-after" => {
                    let seconds = match name {
                        "storeboot.patience" => &mut found.patience,
                        _ => &mut found.rest_after,
                    };
                    match value.and_then(|value| value.parse().ok()) {
                        Some(value) => *seconds = Some(value),
                        None => found.ignored.push(word.clone()),
                    }
                }
                "ip" | "nameserver" | "vlan" | "BOOTIF" if value.is_some() => {
                    found.network.push(word.clone());
                }
                _ => {}
            }
        }
        found
    }

    /// How long the booted system runs before what it did not ask for is fetched.
    pub(crate) fn rest_after(&self) -> Duration {
        self.rest_after.map_or(REST_AFTER, Duration::from_secs)
    }

    /// How long nothing may arrive before stage 1 gives up.
    pub(crate) fn patience(&self) -> Duration {
        self.patience.map_or(PATIENCE, Duration::from_secs)
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

    #[test]
    fn what_dm_verity_does_is_said_by_a_word() {
        let found = |text| Cmdline::parse(text).on_corruption;
        assert_eq!(found("storeboot.verity=panic"), OnCorruption::Panic);
        assert_eq!(
            found("storeboot.verity=panic storeboot.verity=error"),
            OnCorruption::Error
        );
        for word in [
            "storeboot.verity=1",
            "storeboot.verity",
            "storeboot.verity=Panic",
        ] {
            let odd = Cmdline::parse(&format!("storeboot.verity=panic {word} quiet"));
            assert_eq!(odd.refused.as_deref(), Some(word));
        }
        assert_eq!(Cmdline::parse("storeboot.verity=panic").refused, None);
    }

    #[test]
    fn words_of_layout_fetch() {
        let found = Cmdline::parse(
            "storeboot.store=http://a/x,http://b storeboot.store=,http://c/ storeboot.keep=LABEL=store \
             storeboot.keep-network storeboot.patience=30",
        );
        assert_eq!(found.store, ["http://a/x", "http://b", "http://c/"]);
        assert_eq!(found.keep.as_deref(), Some("LABEL=store"));
        assert!(found.keep_network && !found.all_first && found.ignored.is_empty());
        assert_eq!(found.patience(), Duration::from_secs(30));

        assert!(Cmdline::parse("storeboot.stream=0").all_first);
        assert!(!Cmdline::parse("storeboot.stream=0 storeboot.stream").all_first);
        let found = Cmdline::parse("storeboot.store storeboot.keep= storeboot.patience=soon");
        assert_eq!((found.store.len(), &found.keep), (0, &None));
        assert_eq!(found.patience(), PATIENCE);
        assert_eq!(found.rest_after(), REST_AFTER);
        assert_eq!(found.ignored, ["storeboot.patience=soon"]);
        let found = Cmdline::parse("storeboot.rest-after=0 storeboot.rest-after=x");
        assert_eq!(found.rest_after(), Duration::ZERO);
        assert_eq!(found.ignored, ["storeboot.rest-after=x"]);
    }

    #[test]
    fn words_for_the_network_stay_whole_and_in_order() {
        let found = Cmdline::parse(
            "ip=dhcp nameserver=10.0.0.1 quiet vlan=v:eth0 ip xip=1 BOOTIF=01-52-54-00-12-34-56 \
             ip=[fd00::2]::[fd00::1]:64:::none -- ip=no",
        );
        assert_eq!(
            found.network,
            [
                "ip=dhcp",
                "nameserver=10.0.0.1",
                "vlan=v:eth0",
                "BOOTIF=01-52-54-00-12-34-56",
                "ip=[fd00::2]::[fd00::1]:64:::none"
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in ".{0,200}") {
            Cmdline::parse(&text);
        }
    }
}
