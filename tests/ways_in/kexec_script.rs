//! Runs `kexec-boot` without a reboot. Its PATH has only the tools that it may use, and a kexec that only prints its
//! arguments.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use storeboot_index::Layout;
use storeboot_tests::command::{names, ran, write_program};

use crate::systems::{netboot, scratch, system, text};

/// The tools that the script may use besides kexec and systemctl.
const TOOLS: [&str; 9] = [
    "cat", "cp", "dd", "dirname", "mktemp", "readlink", "rm", "sh", "wc",
];

/// A system on which the script is called.
struct Caller {
    folder: PathBuf,
    netboot: &'static Path,
}

impl Caller {
    fn new(name: &str, kexec: &str) -> Option<Self> {
        let netboot = netboot(system()?, Layout::Direct);
        let folder = scratch(name, Layout::Direct);
        for inside in ["bin", "tmp"] {
            fs::create_dir(folder.join(inside)).expect("a folder");
        }
        let bin = folder.join("bin");
        for tool in TOOLS {
            let program = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
            let program = program
                .iter()
                .find(|program| program.exists())
                .expect("a tool of POSIX");
            symlink(program, bin.join(tool)).expect("a link");
        }
        let log = r#"echo "${0##*/} $*" >>"$LOG""#;
        if !kexec.is_empty() {
            write_program(&bin.join("kexec"), &format!("#!/bin/sh\n{log}\n{kexec}\n"));
        }
        for name in ["systemctl", "sync"] {
            write_program(&bin.join(name), &format!("#!/bin/sh\n{log}\n"));
        }
        Some(Self { folder, netboot })
    }

    /// Returns the folder in which the script may write files.
    fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// Calls the script through a link and from another folder.
    fn call(&self, arguments: &[&str]) -> Output {
        let link = self.folder.join("link");
        let _ = fs::remove_file(&link);
        symlink(self.netboot.join("kexec-boot"), &link).expect("a link");
        let output = ran(Command::new("/bin/sh")
            .arg(&link)
            .args(arguments)
            .current_dir(&self.folder)
            .env("PATH", self.folder.join("bin"))
            .env("TMPDIR", self.temporary())
            .env("LOG", self.folder.join("log"))
            .env("CDPATH", "/"));
        assert!(names(&self.temporary()).is_empty(), "{output:?}");
        output
    }

    /// Returns the programs that were called, in order.
    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the expected call that loads the system.
    fn load(&self, initrd: &str, arguments: &str) -> String {
        let folder = self.netboot.display();
        let line = text(self.netboot, "kernelAppend");
        format!("kexec --load {folder}/bzImage --initrd={initrd} --command-line={line}{arguments}")
    }

    fn initrd(&self) -> String {
        format!("{}/initrd", self.netboot.display())
    }
}

/// Returns the expected calls that start the loaded system on this machine.
fn start() -> Vec<String> {
    let commands: &[&str] = if Path::new("/run/systemd/system").is_dir() {
        &["systemctl kexec"]
    } else {
        &["sync ", "kexec --exec"]
    };
    commands.iter().map(|&command| command.to_owned()).collect()
}

#[test]
fn the_script_loads_its_folder_and_starts_it() {
    let Some(caller) = Caller::new("kexec-plain", ":") else {
        return;
    };
    let output = caller.call(&["one=1", "two='2 3'", "--", "--single"]);
    assert!(output.status.success(), "{output:?}");
    let mut expected = vec![caller.load(&caller.initrd(), " one=1 two='2 3' -- --single")];
    expected.extend(start());
    assert_eq!(caller.log(), expected);
}

#[test]
fn the_script_puts_archives_behind_the_initrd() {
    let keep = r#"for word; do case $word in --initrd=*) cp "${word#*=}" initrd ;; esac; done"#;
    let Some(caller) = Caller::new("kexec-archives", keep) else {
        return;
    };
    let archives = [("first file", &b"12345"[..]), ("second", b"12345678")];
    for (name, bytes) in archives {
        fs::write(caller.folder.join(name), bytes).expect("an archive");
    }
    let output = caller.call(&[
        "--append-archive",
        "first file",
        "word",
        "--append-archive=second",
    ]);
    assert!(output.status.success(), "{output:?}");
    assert!(caller.log()[0].ends_with(" word"), "{:?}", caller.log());

    let joined = fs::read(caller.folder.join("initrd")).expect("what kexec was given");
    let initrd = fs::read(caller.initrd()).expect("the initrd");
    let rest = joined.strip_prefix(&initrd[..]).expect("ours comes first");
    assert_eq!(initrd.len() % 4, 0, "that of a build always is");
    assert_eq!(rest, b"\0\0\0\x0012345\0\0\0\0\0\0\x0012345678\0\0\0\0");
}

#[test]
fn the_script_tries_the_other_system_call_on_a_kernel_that_is_locked_down() {
    let only_files = r#"case $* in --load*syscall | --exec) ;; *) exit 1 ;; esac"#;
    let Some(caller) = Caller::new("kexec-locked", only_files) else {
        return;
    };
    let output = caller.call(&[]);
    assert!(output.status.success(), "{output:?}");
    let mut expected = ["", " --kexec-file-syscall"]
        .map(|last| caller.load(&caller.initrd(), last))
        .to_vec();
    expected.extend(start());
    assert_eq!(caller.log(), expected);
}

#[test]
fn the_script_prints_its_usage() {
    let Some(caller) = Caller::new("kexec-help", "") else {
        return;
    };
    for option in ["--help", "-h"] {
        let output = caller.call(&[option]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(said.starts_with("Boots this netboot directory"), "{said}");
        assert!(
            said.contains("\n  kexec-boot [--append-archive FILE]... [ARGUMENT]...\n"),
            "{said}"
        );
        assert!(said.trim_end().ends_with("once it is loaded."), "{said}");
    }
    assert_eq!(caller.log(), [""; 0]);
}

#[test]
fn the_script_reports_an_error_and_starts_nothing() {
    for (name, kexec, arguments, sentence) in [
        ("none", "", &[][..], "kexec is not installed"),
        ("fails", "exit 1", &[], "kexec cannot load this system"),
        (
            "file",
            ":",
            &["--append-archive", "gone"],
            "there is no file gone",
        ),
        (
            "last",
            ":",
            &["--append-archive"],
            "--append-archive wants a file",
        ),
        (
            "option",
            ":",
            &["--append-archives=x"],
            "there is no option --append-archives=x",
        ),
    ] {
        let Some(caller) = Caller::new(&format!("kexec-{name}"), kexec) else {
            return;
        };
        let output = caller.call(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said.contains(&format!("kexec-boot: {sentence}")), "{said}");
        let started = start();
        assert!(
            !caller.log().iter().any(|line| started.contains(line)),
            "{:?}",
            caller.log()
        );
    }
}
