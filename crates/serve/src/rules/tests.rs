use std::fs;
use std::sync::{Arc, Mutex};

use super::*;
use crate::regular::tests::pipe;
use crate::{Desk, Found, Loaders, Offers, Platform, Sources};

fn parse(text: &str) -> Result<Rules, String> {
    Rules::parse(text, "/etc/rules.toml".as_ref()).map_err(|error| error.to_string())
}

fn machine(mac: &str) -> Machine {
    Machine {
        mac: Some(mac.parse().unwrap()),
        ..Machine::default()
    }
}

const RACK: &str = r#"
    [default]
    directory = "/plain"
    append = "quiet"

    [[machine]]
    mac = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    uuid = "4C4C4544-0042-4B10-8051-B4C04F4D3232"
    host-name = "node1"

    [[machine]]
    network = ["192.0.2.0/24", "2001:db8::/64"]
    platform = "uefi-arm64"
    directory = "rack"
    append = ["console=ttyAMA0", "debug"]
    archives = "keys.cpio"
"#;

#[test]
fn every_rule_that_matches_counts_and_the_first_that_names_a_thing_decides() {
    let rules = parse(RACK).unwrap();
    let mut machine = machine("02:00:00:00:00:02");
    let plain = rules.choose(&machine).unwrap();
    assert_eq!(plain.source, Source::Directory("/plain".into()));
    assert_eq!(plain.words(), "quiet");

    machine.uuid = Some("4c4c4544-0042-4b10-8051-b4c04f4d3232".into());
    let named = rules.choose(&machine).unwrap();
    assert_eq!(named.words(), "quiet systemd.hostname=node1");

    machine.address = Some("::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(
        rules.choose(&machine),
        Some(named),
        "its platform is not known"
    );

    machine.platform = Some(Platform::UefiArm64);
    let both = rules.choose(&machine).unwrap();
    assert_eq!(both.source, Source::Directory("/etc/rack".into()));
    assert_eq!(both.words(), "console=ttyAMA0 debug systemd.hostname=node1");
    assert_eq!(both.archives, [PathBuf::from("/etc/keys.cpio")]);

    machine.address = Some("192.0.3.7".parse().unwrap());
    let elsewhere = rules.choose(&machine).unwrap();
    assert_eq!(elsewhere.source, plain.source);
    assert!(elsewhere.archives.is_empty());
}

#[test]
fn without_a_default_other_machines_get_nothing() {
    let rules = parse("[[machine]]\nserial = \"7\"\nflake = \"node\"\n").unwrap();
    assert_eq!(rules.choose(&Machine::default()), None);
    let other = rules.or_default(Source::Profile("p".into()));
    let choice = other.choose(&Machine::default()).unwrap();
    assert_eq!(choice.source, Source::Profile("p".into()));
    let names: Vec<String> = other.sources().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["flake output node", "profile p"]);
}

#[test]
fn errors_name_the_line_and_the_key() {
    for (text, line, words) in [
        (
            "[default]\ndirectory = \"a\"\nhostname = \"b\"\n",
            3,
            "unknown field `hostname`",
        ),
        ("\n\n[defaults]\n", 3, "unknown field `defaults`"),
        ("[[machine]]\nmac = \"02\"\n", 2, "\"02\" is no MAC address"),
        (
            "[[machine]]\nmac = [\n  \"02:00:00:00:00:01\",\n  \"x\",\n]\n",
            2,
            "\"x\" is no MAC address",
        ),
        ("[[machine]]\nmac = []\n", 2, "the list is empty"),
        ("[[machine]]\nmac = 7\n", 2, "a text or a list of texts"),
        ("[[machine]]\nuuid = \"4c4c4544\"\n", 2, "is no UUID"),
        (
            "[[machine]]\nplatform = \"ppc\"\n",
            2,
            "take bios, uefi-x64 or uefi-arm64",
        ),
        (
            "[[machine]]\nnetwork = \"192.0.2.0/33\"\n",
            2,
            "is no network",
        ),
        ("[default]\nhost-name = \"a_b\"\n", 2, "is no host name"),
        (
            "[default]\nappend = \"a\\nb\"\n",
            2,
            "a command line cannot hold '\\n'",
        ),
        ("[default]\nconfiguration = \"../x\"\n", 2, "is no name"),
        (
            "[default]\nhydra = \"h/p/j\"\n",
            2,
            "write HOST/PROJECT/JOBSET/JOB",
        ),
        ("[default]\nhydra = \"h:x/p/j/k\"\n", 2, "is no port"),
        (
            "\n[default]\nflake = \"a\"\nprofile = \"b\"\n",
            2,
            "more than one of directory",
        ),
        (
            "\n[default]\nmac = \"02:00:00:00:00:01\"\n",
            2,
            "[default] is for every machine",
        ),
        (
            "[default]\n[[machine]]\ndirectory = \"a\"\n",
            2,
            "does not say for which machines",
        ),
        ("[default]\ndirectory = \"a\n", 2, "invalid"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.starts_with(&format!("/etc/rules.toml, line {line}: ")),
            "{text}: {error}"
        );
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn there_are_limits() {
    let many = "[[machine]]\nserial=\"7\"\n".repeat(20_001);
    assert!(parse(&many).unwrap_err().contains("more than 20000 rules"));
    let long = format!("default.append = \"{}\"", "a".repeat(2049));
    assert!(parse(&long).unwrap_err().contains("more than 2048 bytes"));
    let deep = format!("default = {}", "[".repeat(100_000));
    assert!(parse(&deep).is_err());
}

#[test]
fn a_file_that_changes_is_read_again_and_an_error_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, "default.profile = \"one\"").unwrap();
    let (mut file, rules) = RulesFile::open(&path, None).unwrap();
    let source = |rules: &Rules| rules.sources()[0].to_string();
    assert_eq!(source(&rules), "profile one");
    assert!(file.changed().unwrap().is_none());

    fs::write(&path, "default.profile = \"three\"").unwrap();
    assert!(
        file.changed().unwrap().is_none(),
        "it may be written to still"
    );
    assert_eq!(source(&file.changed().unwrap().unwrap()), "profile three");
    assert!(file.changed().unwrap().is_none());

    // Each text has another length than the one before: two writes may get the same time.
    fs::write(&path, "default.profiles = \"fourth\"").unwrap();
    assert!(file.changed().unwrap().is_none());
    assert!(matches!(file.changed(), Err(Error::Rules { line: 1, .. })));
    assert!(file.changed().unwrap().is_none());

    fs::remove_file(&path).unwrap();
    assert!(file.changed().unwrap().is_none());
    assert!(matches!(file.changed(), Err(Error::Read { .. })));
    assert!(file.changed().unwrap().is_none());
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, "#".repeat((4 << 20) + 1)).unwrap();
    let error = RulesFile::open(&path, None).unwrap_err().to_string();
    assert!(error.ends_with("it has more than 4.0 MiB"), "{error}");
}

#[test]
fn a_pipe_has_no_rules_and_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    pipe(&path);
    let error = RulesFile::open(&path, None).unwrap_err().to_string();
    assert!(error.ends_with("it is no regular file"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_desk_keeps_its_rules_while_the_file_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, "default.profile = \"one\"").unwrap();
    let fallback = Some(Source::Profile("other".into()));
    let (file, rules) = RulesFile::open(&path, fallback).unwrap();
    let offers = Arc::new(Offers::default());
    let sources = Sources::new(Arc::clone(&offers));
    let desk = Desk::new(offers, sources, Loaders::default(), rules);
    let choice = || desk.rules().choose(&Machine::default()).unwrap().source;
    let told = Mutex::new(Vec::new());
    let follow = file.follow(&desk, |news| {
        let said = match news {
            News::Taken => "read".into(),
            News::Lacking(error) => format!("lacks: {error}"),
            News::Refused(error) => error.to_string(),
        };
        told.lock().unwrap().push(said);
    });
    let change = async {
        let wait = || tokio::time::sleep(PERIODS);
        fs::write(&path, "default.").unwrap();
        wait().await;
        assert_eq!(choice(), Source::Profile("one".into()));
        fs::write(&path, "").unwrap();
        wait().await;
        assert_eq!(choice(), Source::Profile("other".into()));
        // A directory may be built after the rules that name it.
        fs::write(
            &path,
            "default.directory = \"none\"\ndefault.archives = \"keys\"",
        )
        .unwrap();
        wait().await;
        let none = folder.path().join("none");
        assert_eq!(choice(), Source::Directory(none.clone()));
        let found = desk.sources.find(&Source::Directory(none.clone())).await;
        assert!(matches!(found, Found::Failed { .. }), "{found:?}");
    };
    tokio::select! { () = follow => {}, () = change => {} }
    let told = told.into_inner().unwrap();
    assert!(told[0].contains("rules.toml, line 1: "), "{told:?}");
    let lacking = "profile other cannot be built: the server builds no systems";
    assert_eq!(told[1..3], ["read".to_owned(), format!("lacks: {lacking}")]);
    assert_eq!(told[3], "read");
    assert!(told[4].contains("keys cannot be read"), "{told:?}");
    assert!(
        told[5]
            .ends_with("none is no netboot directory: give a folder that `storeboot build` wrote"),
        "{told:?}"
    );
    assert_eq!(told.len(), 6);
}

const PERIODS: std::time::Duration = std::time::Duration::from_secs(5);
