//! Help texts, manual pages and completions.

use std::fs;
use std::io::Write;

use assert_cmd::Command;

const COMMANDS: [&str; 8] = [
    "build",
    "pack",
    "layer",
    "inspect",
    "verify",
    "nix-builder",
    "man",
    "completions",
];
/// Commands that the list of commands does not show.
const HIDDEN: [&str; 2] = ["man", "completions"];

fn storeboot() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("storeboot"))
}

/// Runs the command and returns its output. It must succeed and print nothing on stderr.
fn printed(arguments: &[&str]) -> String {
    let output = storeboot().args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    assert_eq!(said, "", "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_command_has_a_help_text_with_an_example() {
    for command in COMMANDS {
        let help = printed(&[command, "--help"]);
        let (text, examples) = help
            .split_once("\nExamples:\n")
            .unwrap_or_else(|| panic!("{command} has no example:\n{help}"));
        assert!(text.contains(&format!("storeboot {command}")), "{text}");
        assert!(examples.contains(command), "{examples}");
        // Also check the short form and the command `help`.
        assert!(printed(&[command, "-h"]).contains("Usage:"));
        assert_eq!(printed(&["help", command]), help);
        for line in help.lines().filter(|line| !line.starts_with("Usage:")) {
            assert!(line.chars().count() <= 120, "{command}: {line}");
        }
    }
}

#[test]
fn the_help_text_lists_the_commands() {
    let help = printed(&["--help"]);
    assert!(help.contains("\nExamples:\n"), "{help}");
    for command in COMMANDS {
        let listed = help
            .lines()
            .any(|line| line.trim_start().starts_with(command));
        assert_eq!(listed, !HIDDEN.contains(&command), "{command} in {help}");
    }
}

#[test]
fn every_option_of_a_command_is_explained() {
    for command in COMMANDS {
        let help = printed(&[command, "--help"]);
        let (_, options) = help.split_once("\nOptions:\n").expect("options");
        let (options, _) = options.split_once("\nExamples:\n").expect("examples");
        // The explanation is on the line of the option, or on the next line.
        let lines: Vec<&str> = options.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let option = line.trim_start();
            if !option.starts_with('-') {
                continue;
            }
            let behind = option.contains("  ");
            let below = lines.get(number + 1).is_some_and(|next| {
                let next = next.trim_start();
                !next.is_empty() && !next.starts_with('-')
            });
            assert!(behind || below, "{command} {option} is not explained");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("storeboot {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"]), version);
    assert_eq!(printed(&["-V"]), version);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    // Neither folder exists yet.
    let pages = folder.path().join("share/man1");
    printed(&["man", pages.to_str().expect("text")]);
    let page = |name: &str| {
        let page = fs::read_to_string(pages.join(name));
        page.unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let main = page("storeboot.1");
    assert!(main.contains(".TH storeboot 1"), "{main}");
    for command in COMMANDS.iter().filter(|name| !HIDDEN.contains(name)) {
        let text = page(&format!("storeboot-{command}.1"));
        // roff writes a hyphen as `\-`.
        let escaped = command.replace('-', "\\-");
        assert!(text.contains(&escaped), "{text}");
        assert!(text.contains("Examples:"), "{text}");
        assert!(main.contains(&escaped), "{command} in {main}");
    }
}

#[test]
fn manual_pages_need_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = folder.path().join("taken");
    fs::write(&taken, "").expect("a file");
    let output = storeboot().arg("man").arg(&taken).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(taken.to_str().expect("text")) && said.contains("File exists"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn every_shell_has_a_completion_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = printed(&["completions", shell]);
        for word in ["storeboot", "nix-builder", "path-info"] {
            assert!(text.contains(word), "no {word} for {shell}");
        }
    }
    let output = storeboot().args(["completions", "csh"]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(2));
}

#[test]
fn bash_can_read_its_completion_script() {
    let text = printed(&["completions", "bash"]);
    // With -n, bash reads the whole script and runs nothing.
    let bash = std::process::Command::new("bash").arg("--version").output();
    if bash.is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have bash");
        // The test harness hides the output of `eprintln!` when a test passes.
        let _ = std::io::stderr().write_all(b"\nSKIPPED: bash is missing\n");
        return;
    }
    Command::new("bash")
        .args(["--norc", "-n"])
        .write_stdin(text)
        .assert()
        .success()
        .stderr("");
}
