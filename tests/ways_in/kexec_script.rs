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
const TOOLS: [&str; 12] = [
    "cat", "cp", "dd", "dirname", "ls", "mktemp", "readlink", "rm", "sed", "sh", "tr", "wc",
];

/// A system on which the script is called.
struct Caller {
    folder: PathBuf,
    netboot: &'static Path,
}

impl Caller {
    fn new(name: &str, kexec: &str) -> Option<Self> {
        Self::of(name, kexec, Layout::Direct)
    }

    fn of(name: &str, kexec: &str, layout: Layout) -> Option<Self> {
        let netboot = netboot(system()?, layout);
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

/// Calls `kexec-boot` of layout fetch on a machine with this network, and returns what it adds to the command line, and
/// what it says.
fn told_of_the_network(
    name: &str,
    routes: &str,
    addresses: &str,
    arguments: &[&str],
) -> Option<(String, String)> {
    let caller = Caller::of(name, ":", Layout::Fetch)?;
    let at = |path: &str| caller.folder.join(path);
    for folder in ["net/eno1/device", "net/br0/brif/eno1", "net/wg0"] {
        fs::create_dir_all(at(folder)).expect("a folder");
    }
    fs::write(at("net/eno1/address"), "52:54:00:12:34:56\n").expect("a file");
    let servers =
        "search example\nnameserver 127.0.0.53\nnameserver 10.0.2.3\nnameserver fe80::1%eno1\n";
    fs::write(at("resolv.conf"), servers).expect("a file");
    let ip = format!(
        "#!/bin/sh\ncase $* in\n'-4 route') cat <<'E'\n{routes}\nE\n;;\n*addr*) cat <<'E'\n{addresses}\nE\n;;\nesac\n"
    );
    write_program(&at("bin/ip"), &ip);
    // The script looks at this machine; here it looks at the folder.
    let script = fs::read_to_string(caller.netboot.join("kexec-boot")).expect("a script");
    let folder = caller.folder.display();
    let script = script
        .replace("/sys/class/net", &format!("{folder}/net"))
        .replace("/run/systemd/resolve", &folder.to_string());
    for file in ["bzImage", "initrd"] {
        symlink(caller.netboot.join(file), at(file)).expect("a link");
    }
    fs::write(at("kexec-boot"), script).expect("a file");
    let output = ran(Command::new("/bin/sh")
        .arg(at("kexec-boot"))
        .args(arguments)
        .env("PATH", at("bin"))
        .env("LOG", at("log")));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text(caller.netboot, "kernelAppend");
    let log = caller.log();
    let loaded = log.first().and_then(|call| call.split_once(&line));
    Some((
        loaded
            .map(|(_, added)| added.to_owned())
            .unwrap_or_default(),
        said,
    ))
}

const URL: &str = "storeboot.store=http://boot.example/";

#[test]
fn the_script_hands_over_the_network() {
    let card = "2: eno1: <UP>\n    inet 192.0.2.1/24 scope link eno1\n    inet 10.0.2.15/22 brd 10.0.3.255 scope global eno1\n    \
                inet 10.0.2.16/22 scope global secondary eno1";
    let words = "ip=10.0.2.16::10.0.0.1:255.255.252.0:::none BOOTIF=01-52-54-00-12-34-56 nameserver=10.0.2.3";
    let routes =
        "10.0.0.0/22 dev eno1\ndefault via 10.0.0.1 dev eno1 proto dhcp src 10.0.2.16 metric 100";
    let Some((added, said)) =
        told_of_the_network("kexec-network", routes, card, &[URL, "--", "single"])
    else {
        return;
    };
    assert_eq!(
        (added, said.as_str()),
        (format!(" {URL} {words} -- single"), "")
    );
    // A bridge has the address of its card; a provider's gateway may be outside of the subnet.
    let bridge = "3: br0: <UP>\n    inet 203.0.113.7/32 scope global br0";
    let (added, _) = told_of_the_network(
        "kexec-bridge",
        "default via 10.0.0.1 dev br0 onlink",
        bridge,
        &[URL],
    )
    .expect("as before");
    assert!(
        added.contains(" ip=203.0.113.7::10.0.0.1:255.255.255.255:::none BOOTIF=01-52"),
        "{added}"
    );
}

#[test]
fn the_script_says_what_it_cannot_hand_over() {
    let address = "    inet 10.0.0.2/24 scope global wg0";
    let Some((added, said)) = told_of_the_network(
        "kexec-tunnel",
        "default dev wg0 scope link",
        address,
        &[URL],
    ) else {
        return;
    };
    assert_eq!(added, format!(" {URL}"));
    assert!(
        said.contains("leads over wg0, which is no network card"),
        "{said}"
    );
    let (added, said) =
        told_of_the_network("kexec-own", "", "", &[URL, "ip=dhcp"]).expect("as before");
    assert_eq!((added, said), (format!(" {URL} ip=dhcp"), String::new()));
    let (_, said) = told_of_the_network("kexec-nowhere", "", "", &[]).expect("as before");
    assert!(said.contains("no URL says where the store is"), "{said}");
}
