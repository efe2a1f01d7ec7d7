//! Standard output and standard error that are full, or whose reader has closed them.

use std::fs::File;
use std::process::Stdio;

mod support;

use support::{Sample, storeboot};

fn full() -> File {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("a device")
}

/// A pipe whose reading end is closed.
fn broken() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_full_standard_output_is_a_failure() {
    let sample = Sample::new("hello\n");
    assert!(
        sample
            .pack()
            .arg("--quiet")
            .status()
            .expect("it runs")
            .success()
    );
    let image = sample.path("image");
    let image = image.to_str().expect("text");
    for arguments in [
        &["completions", "bash"][..],
        &["inspect", image],
        &["inspect", "--json", image],
        &["verify", image],
    ] {
        let output = storeboot().args(arguments).stdout(full()).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.ends_with(
                "storeboot: cannot write to the standard output: No space left on device (os error 28)\n"
            ),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn a_closed_standard_output_is_not_a_failure() {
    let sample = Sample::new("hello\n");
    assert!(
        sample
            .pack()
            .arg("--quiet")
            .status()
            .expect("it runs")
            .success()
    );
    let image = sample.path("image");
    let image = image.to_str().expect("text");
    for arguments in [
        &["completions", "bash"][..],
        &["inspect", image],
        &["verify", "--quiet", image],
    ] {
        let output = storeboot().args(arguments).stdout(broken()).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

#[test]
fn a_build_continues_when_standard_error_fails() {
    for stderr in [Stdio::from(full()), broken()] {
        let sample = Sample::new("hello\n");
        let status = sample.pack().stderr(stderr).status().expect("it runs");
        assert!(status.success());
        assert!(sample.path("image").exists());
    }
}

#[test]
fn progress_is_plain_lines_without_a_terminal() {
    let sample = Sample::new("hello\n");
    let output = sample.pack().output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("packing the store image\n"), "{said}");
    assert!(!said.contains(['\r', '\u{1b}']), "{said:?}");

    let output = sample.pack().arg("--quiet").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
