//! Tests `scripts/check-nixos` with a stand-in for Nix: the line that it prints for each case, and its exit status. The
//! cases themselves need a whole nixpkgs.

use std::fs;
use std::process::{Command, Output};

use storeboot_tests::command::{Scratch, write_program};
use storeboot_tests::debian::repository;

/// A stand-in for Nix that prints the list of cases. For a case, it does what the name of the case says.
const NIX: &str = r#"#!/bin/sh
case "$*" in
*" -A release") echo '"26.05"' ;;
*--version) echo "a stand-in" ;;
*" -A list") cat "$(dirname "$0")/list" ;;
*"--argstr case good/"*) echo '"evaluated"' ;;
*"--argstr case warns "*) echo 'evaluation warning: an option is old' >&2; echo '"evaluated"' ;;
*)
  printf 'error:\n       … while evaluating\n\n       error: first\n       error: the option says\n       no\n       at /a/b.nix:1:2:\n' >&2
  exit 1
  ;;
esac
"#;

/// Runs the script with these cases: the name, the reason for skipping it, and the message of its refusal.
fn checked(cases: &[[&str; 3]], words: &[&str]) -> (Output, String) {
    let scratch = Scratch::new();
    let nixpkgs = scratch.join("nixpkgs/nixos/lib");
    fs::create_dir_all(&nixpkgs).expect("a folder");
    fs::write(nixpkgs.join("eval-config.nix"), "").expect("a file");
    let bin = scratch.join("bin");
    fs::create_dir(&bin).expect("a folder");
    write_program(&bin.join("nix-instantiate"), NIX);
    write_program(&bin.join("nix"), "#!/bin/sh\nexit 1\n");
    let list: String = cases
        .iter()
        .map(|case| case.join("\\t").replace('"', "\\\"") + "\\n")
        .collect();
    fs::write(bin.join("list"), format!("\"{list}\"\n")).expect("a file");

    let output = Command::new(repository().join("scripts/check-nixos"))
        .args(words)
        .env("NIXPKGS", scratch.join("nixpkgs"))
        .env("NIX", &bin)
        .env("LOGS", scratch.join("logs"))
        .env("JOBS", "2")
        .env_remove("NIXOS_IMAGES")
        .output()
        .expect("the script runs");
    let said = String::from_utf8(output.stdout.clone()).expect("text");
    (output, said)
}

#[test]
fn every_case_has_a_line_and_all_are_counted() {
    let (output, said) = checked(
        &[
            ["good/one", "-", "-"],
            ["warns", "-", "-"],
            ["bad", "-", "-"],
            ["good/old", "this release has no such thing", "-"],
            ["refused", "-", "the option says no"],
            ["otherwise", "-", r#"the option says "yes""#],
            ["good/refused", "-", "the option says no"],
        ],
        &[],
    );
    for line in [
        "ok       good/one",
        "ok       warns (warns: an option is old)",
        "failed   bad: the option says no",
        "skipped  good/old: this release has no such thing",
        "ok       refused (refused)",
        r#"failed   otherwise: refused, but not with «the option says "yes"»: the option says no"#,
        "failed   good/refused: it evaluates, and is to be refused with «the option says no»",
        "skipped  nix-flake-check: this Nix knows no flakes",
        "NixOS 26.05: 3 passed, 3 failed, 3 skipped",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}\n{said}");
    }
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn it_succeeds_when_no_case_failed_and_at_least_one_ran() {
    let cases = [
        ["good/one", "-", "-"],
        ["good/two", "-", "-"],
        ["bad", "-", "-"],
    ];
    let (output, said) = checked(&cases, &["two", "one"]);
    assert!(
        said.ends_with("NixOS 26.05: 2 passed, 0 failed, 0 skipped\n"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(0));

    let (output, said) = checked(&cases, &["there-is-none-such"]);
    assert!(
        said.ends_with("NixOS 26.05: 0 passed, 0 failed, 0 skipped\n"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn without_a_whole_nixpkgs_it_says_so() {
    for (nixpkgs, told) in [
        ("", "NIXPKGS names no folder"),
        ("/nonexistent", "/nonexistent is no whole nixpkgs"),
    ] {
        let output = Command::new(repository().join("scripts/check-nixos"))
            .env("NIXPKGS", nixpkgs)
            .output()
            .expect("the script runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(told), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}
