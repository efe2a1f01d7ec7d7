//! A TPM for a machine, and what firmware, the stub and Linux measured into it.

use std::fmt;
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use storeboot_tests::command::{Scratch, have, printed};
use storeboot_tests::qemu::{Boot, Machine};
use storeboot_tests::small_system::fact;

/// The registers that docs/trust.md tells of.
const REGISTERS: [u8; 5] = [4, 7, 9, 11, 12];

/// A TPM 2.0 that a program emulates until this is dropped.
pub struct Tpm {
    process: Child,
    folder: Scratch,
}

impl Tpm {
    /// A new one. None where the program is not installed.
    pub fn start() -> Option<Self> {
        if !have(&["swtpm", "tpm2_eventlog"]) {
            return None;
        }
        let folder = Scratch::new();
        let path = |name: &str| folder.join(name).display().to_string();
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate"])
            .arg(format!("dir={}", folder.path().display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", path("socket")))
            .spawn()
            .expect("swtpm runs");
        let this = Self { process, folder };
        for _ in 0..600 {
            if this.folder.join("socket").exists() {
                return Some(this);
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("swtpm makes no socket");
    }

    /// The machine with this TPM in it.
    pub fn in_machine(&self, machine: Machine) -> Machine {
        let socket = self.folder.join("socket");
        machine
            .argument("-chardev")
            .argument(format!("socket,id=tpm,path={}", socket.display()))
            .argument("-tpmdev")
            .argument("emulator,id=tpm0,chardev=tpm")
            .argument("-device")
            .argument("tpm-tis,tpmdev=tpm0")
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Has stage 2 print the registers and the log of what was measured into them.
pub fn script(busybox: &str) -> String {
    let numbers = REGISTERS.map(|number| number.to_string()).join(" ");
    format!(
        r#"b() {{ {busybox} "$@"; }}
b mount -t securityfs none /sys/kernel/security
for number in {numbers}; do
  echo "STAGE2 register $number: $(b cat /sys/class/tpm/tpm0/pcr-sha256/$number)"
done
echo "STAGE2 log: $(b base64 -w 0 /sys/kernel/security/tpm0/binary_bios_measurements)"
"#
    )
}

/// One thing that was measured.
struct Event {
    register: u8,
    kind: String,
    digest: [u8; 32],
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = HEXLOWER.encode(&self.digest);
        write!(f, "{} {} {digest}", self.register, self.kind)
    }
}

/// What was measured in a boot.
#[derive(Debug)]
pub struct Measured(Vec<Event>);

impl Measured {
    /// Reads what [`script`] printed. Checks that the log tells how each register came to its value.
    pub fn of(boot: &Boot) -> Self {
        let folder = Scratch::new();
        let file = folder.join("log");
        let log = BASE64.decode(fact(boot, "log").as_bytes()).expect("base64");
        fs::write(&file, log).expect("a file");
        let text = printed(Command::new("tpm2_eventlog").arg(&file));
        let this = Self(events(&String::from_utf8_lossy(&text)));
        for number in REGISTERS {
            let logged = this.digests(number).fold([0; 32], extended);
            let value = digest(fact(boot, &format!("register {number}")));
            assert_eq!(logged, value, "register {number}: {this:#?}");
        }
        this
    }

    /// What was measured into a register, in this order.
    pub fn digests(&self, register: u8) -> impl Iterator<Item = [u8; 32]> {
        self.events(register).map(|event| event.digest)
    }

    /// The same, only what is of one kind.
    pub fn of_kind(&self, register: u8, kind: &str) -> Vec<[u8; 32]> {
        let of_kind = self.events(register).filter(|event| event.kind == kind);
        of_kind.map(|event| event.digest).collect()
    }

    fn events(&self, register: u8) -> impl Iterator<Item = &Event> {
        let events = self.0.iter();
        events.filter(move |event| event.register == register)
    }
}

/// The value of a register after one more thing was measured into it.
fn extended(value: [u8; 32], digest: [u8; 32]) -> [u8; 32] {
    Sha256::digest([value, digest].as_flattened()).into()
}

/// The events with a SHA-256, from the text that `tpm2_eventlog` prints.
fn events(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut register, mut kind, mut is_sha256) = (0, "", false);
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        let value = value.trim_matches('"');
        match name {
            "PCRIndex" => register = value.parse().expect("a register's number"),
            "EventType" => kind = value,
            "AlgorithmId" => is_sha256 = value == "sha256",
            "Digest" if is_sha256 => {
                is_sha256 = false;
                events.push(Event {
                    register,
                    kind: kind.to_owned(),
                    digest: digest(value),
                });
            }
            _ => {}
        }
    }
    events
}

fn digest(hexadecimal: &str) -> [u8; 32] {
    let bytes = HEXLOWER_PERMISSIVE.decode(hexadecimal.as_bytes());
    let bytes = bytes.unwrap_or_else(|error| panic!("{hexadecimal}: {error}"));
    bytes.try_into().expect("a SHA-256")
}
