use super::*;

fn parse(lines: &str) -> Result<Profile, ProfileError> {
    Profile::parse(format!("{HEADER}\n{lines}").as_bytes())
}

#[test]
fn files_keep_their_order_and_their_first_place() {
    let profile = parse("b-1/x\n\n# a comment\na-1/y/z\nb-1/x\nplain.conf\n").expect("sound");
    let named: Vec<(&[u8], &[u8])> = profile
        .files()
        .iter()
        .map(|file| (&*file.name, &*file.inside))
        .collect();
    assert_eq!(
        named,
        [
            (&b"b-1"[..], &b"x"[..]),
            (b"a-1", b"y/z"),
            (b"plain.conf", b"")
        ]
    );
}

#[test]
fn ranges_tell_what_is_read() {
    let profile = parse("a/f\t0-10,20-30\nb/f\na/f\t40-50\nb/f\t0-1\n").expect("sound");
    let [a, b] = profile.files() else {
        panic!("{profile:?}");
    };
    assert!(a.reads_from(49) && !a.reads_from(50));
    assert!(
        b.reads_from(1 << 40),
        "all of it, once named without ranges"
    );
}

#[test]
fn ranges_beyond_the_limit_become_one() {
    let lines: String = (0..200).map(|n| format!("a/f\t{n}-{}\n", n + 1)).collect();
    let profile = parse(&lines).expect("sound");
    let file = &profile.files()[0];
    assert!(file.reads_from(199) && !file.reads_from(200));
    assert!(file.ranges.len() <= MAX_RANGES);
}

#[test]
fn what_is_no_profile_is_refused() {
    assert_eq!(Profile::parse(b""), Err(ProfileError::Header));
    assert_eq!(Profile::parse(b"a/b\n"), Err(ProfileError::Header));
    let long = "x".repeat(MAX_NAME + 1);
    let ranges: Vec<String> = (0..65).map(|n| format!("{n}-{}", n + 1)).collect();
    for line in [
        "/nix/store/a",
        "a/../b",
        "..",
        ".",
        "a/./b",
        "a//b",
        "a/",
        "a/b\tc",
        "a/b\t",
        "a/b\t1-",
        "a/b\t+1-2",
        "a/b\t2-2",
        "a/b\t0-99999999999999999999",
        "a/\u{7}",
        &format!("a/{long}"),
        &"x/".repeat(MAX_LINE),
        &format!("a/b\t{}", ranges.join(",")),
    ] {
        let refused = parse(&format!("good/file\n{line}\n"));
        assert!(
            matches!(refused, Err(ProfileError::Line { line: 3, .. })),
            "{line:?}: {refused:?}"
        );
    }
}

#[test]
fn a_million_lines_are_refused_with_a_sentence() {
    let lines: String = (0..1_000_000).map(|n| format!("a/{n}\n")).collect();
    let refused = parse(&lines).expect_err("too many");
    assert_eq!(refused, ProfileError::TooManyFiles);
    assert!(refused.to_string().contains("200000"));
    let refused = Profile::parse(&vec![b'#'; MAX_BYTES as usize + 1]);
    assert_eq!(refused, Err(ProfileError::TooLarge));
}
