//! `storeboot serve`, and machines that ask it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use storeboot_tests::command::{Scratch, printed, ran, storeboot, write_program};
use storeboot_tests::debian::{repository, static_binaries};
use storeboot_tests::qemu::Kernel;

/// Long enough for all that Nix and the server do here.
const LIMIT: Duration = Duration::from_secs(600);

/// What a server serves, and where it keeps what it builds.
pub struct Site {
    pub folder: Scratch,
    programs: PathBuf,
}

impl Site {
    /// A folder with one system as a configuration and as a flake; and Nix's commands, with a list of their runs.
    pub fn new(kernel: &Kernel) -> Self {
        // Not in memory: the store's links lead here, and there are some hundred megabytes.
        let folder = Scratch::under(&std::env::temp_dir());
        let programs = folder.join("programs");
        fs::create_dir(&programs).expect("a folder");
        for name in ["nix", "nix-build", "nix-store"] {
            let real = which(name);
            let text = format!(
                "#!/bin/sh\necho \"{name} $*\" >>{}\nexec {} {real} \"$@\"\n",
                folder.join("runs").display(),
                repository().join("scripts/nix-here").display(),
            );
            write_program(&programs.join(name), &text);
        }
        let site = Self { folder, programs };
        let machine = site.configuration();
        fs::create_dir_all(&machine).expect("a folder");
        fs::create_dir(site.profiles()).expect("a folder");
        let here = repository().join("tests/serve_demand");
        let system = fs::read_to_string(here.join("system.nix")).expect("there");
        let platform = format!("{}-linux", std::env::consts::ARCH);
        let system = system.replace("@system@", &platform);
        fs::write(machine.join("system.nix"), system).expect("a file");
        let copy = |from: &Path, to: &str| {
            printed(
                Command::new("cp")
                    .args(["-rL", "--"])
                    .arg(from)
                    .arg(machine.join(to)),
            );
        };
        copy(&here.join("build.sh"), "build.sh");
        fs::create_dir(machine.join("tools")).expect("a folder");
        copy(Path::new("/bin/busybox"), "tools/busybox");
        copy(kernel.image(), "bzImage");
        fs::create_dir(machine.join("modules")).expect("a folder");
        copy(&kernel.folder().join("lib"), "modules/lib");
        fs::write(
            machine.join("flake.nix"),
            "{ outputs = _: { nixosConfigurations.machine.config.system.build.toplevel = import ./.; }; }\n",
        )
        .expect("a file");
        site.version("one");
        site
    }

    /// The configuration `machine`, which is a flake, too.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("configurations/machine")
    }

    pub fn profiles(&self) -> PathBuf {
        self.folder.join("profiles")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// Changes the configuration.
    pub fn version(&self, version: &str) {
        self.write(&format!("import ./system.nix \"{version}\""));
    }

    /// Writes the configuration.
    pub fn write(&self, text: &str) {
        fs::write(self.configuration().join("default.nix"), text).expect("a file");
    }

    /// Puts a link to a system among the profiles.
    pub fn profile(&self, name: &str, system: &Path) {
        let link = self.profiles().join(name);
        let _ = fs::remove_file(&link);
        symlink(system, link).expect("a link");
    }

    /// The system that a build was made of, and which is kept from being collected.
    pub fn system(&self, build: &str) -> PathBuf {
        fs::read_link(self.cache().join("roots").join(build)).expect("a link to the system")
    }

    /// The names of what was built.
    pub fn builds(&self) -> Vec<String> {
        names(&self.cache().join("builds"))
    }

    /// How often Nix was run with these words.
    pub fn runs(&self, words: &str) -> usize {
        let runs = fs::read_to_string(self.folder.join("runs")).unwrap_or_default();
        runs.lines().filter(|line| line.contains(words)).count()
    }

    /// The command, without what it is to serve.
    pub fn command(&self) -> Command {
        let mut command = Command::new(storeboot());
        self.prepare(&mut command);
        command
    }

    /// What the command needs.
    pub fn prepare(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--dhcp",
                "off",
                "--tftp",
                "off",
            ])
            .arg("--cache")
            .arg(self.cache())
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("STOREBOOT_STAGE1", static_binaries().join("storeboot-init"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    }
}

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    address: String,
    said: Mutex<Receiver<String>>,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server = Self {
            child,
            address: String::new(),
            said: Mutex::new(said),
        };
        let line = server.says("serving at http://");
        let (_, address) = line.split_once("http://").expect("an address");
        server.address = address.split('/').next().expect("an address").into();
        server
    }

    /// Waits until the server says this, and returns the line.
    pub fn says(&self, words: &str) -> String {
        let said = self.said.lock().expect("nobody panicked with it");
        let mut all = Vec::new();
        loop {
            let Ok(line) = said.recv_timeout(LIMIT) else {
                panic!("the server did not say {words:?}: {all:#?}");
            };
            if line.contains(words) {
                return line;
            }
            all.push(line);
        }
    }

    /// What the server answers the machine of this number, and the status.
    pub fn ask(&self, path: &str, machine: u8) -> (String, Vec<u8>) {
        let output = printed(
            Command::new("curl")
                .args([
                    "--silent",
                    "--show-error",
                    "--path-as-is",
                    "--include",
                    "--interface",
                ])
                .arg(format!("127.0.0.{machine}"))
                .arg(format!("http://{}{path}", self.address)),
        );
        let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = end.expect("the end of the head");
        let head = String::from_utf8(output[..end].to_vec()).expect("text");
        (head, output[end + 4..].to_vec())
    }

    /// The script that a machine gets in the end: it waits as iPXE does.
    pub fn script(&self, path: &str, machine: u8) -> String {
        let start = Instant::now();
        loop {
            let (head, body) = self.ask(path, machine);
            let body = String::from_utf8(body).expect("text");
            if head.starts_with("HTTP/1.1 200") {
                return body;
            }
            assert!(head.starts_with("HTTP/1.1 503"), "{head}\n{body}");
            assert!(
                head.to_ascii_lowercase().contains("\r\nretry-after: 2"),
                "{head}"
            );
            assert!(body.contains(" is being built"), "{body}");
            assert!(start.elapsed() < LIMIT, "{body}");
            thread::sleep(Duration::from_secs(2));
        }
    }

    /// A file of a directory.
    pub fn file(&self, id: &str, name: &str) -> Vec<u8> {
        let (head, body) = self.ask(&format!("/boot/{id}/{name}"), 1);
        assert!(head.starts_with("HTTP/1.1 200"), "{id} {name}: {head}");
        body
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it runs");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of the directory that a script boots.
pub fn id(script: &str) -> String {
    let (_, rest) = script
        .split_once("/boot/")
        .unwrap_or_else(|| panic!("no directory: {script}"));
    rest.chars().take(16).collect()
}

/// The command line that a script gives the kernel.
pub fn command_line(script: &str) -> String {
    let line = script.lines().find(|line| line.starts_with("kernel "));
    let line = line.unwrap_or_else(|| panic!("no kernel: {script}"));
    let words = line.split_whitespace().skip(2);
    let words = words.take_while(|word| !word.starts_with("initrd") && *word != "||");
    words.collect::<Vec<_>>().join(" ")
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

fn which(name: &str) -> String {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .map(|folder| folder.join(name))
        .find(|path| {
            path.metadata().is_ok_and(|metadata| {
                metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
            })
        });
    found.expect("it is installed").display().to_string()
}

/// What Nix would not collect: the roots, a line each.
pub fn roots_of(system: &Path) -> String {
    let mut query = storeboot_tests::debian::nix_command("nix-store");
    let output = ran(query.args(["--query", "--roots"]).arg(system));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
