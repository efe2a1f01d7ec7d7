//! Machines under Secure Boot, and the keys that they trust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_tests::command::{installed, printed, ran};
use storeboot_tests::debian::unpacked;
use storeboot_tests::qemu::Machine;

/// An owner of keys, whom nobody asks.
const OWNER: &str = "5f0c4f5e-7b1c-4b59-8d4c-0c6f7a1d2e3b";

/// A key, and firmware that trusts what it signs and nothing else.
pub struct SecureBoot {
    folder: PathBuf,
    code: PathBuf,
}

impl SecureBoot {
    /// Makes a key in a folder. None where the firmware is not installed.
    pub fn new(folder: &Path) -> Option<Self> {
        let code = installed(&["/usr/share/OVMF/OVMF_CODE_4M.fd"])?;
        let variables = installed(&["/usr/share/OVMF/OVMF_VARS_4M.fd"])?;
        fs::create_dir_all(folder).expect("a folder");
        let this = Self {
            folder: folder.into(),
            code,
        };
        let (key, certificate) = (this.file("key"), this.file("certificate"));
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(["-subj", "/CN=storeboot's tests/", "-days", "3650"])
            .args(["-keyout", &key, "-out", &certificate]);
        printed(&mut openssl);
        this.variables(
            &variables,
            "variables",
            &[
                "--set-pk",
                OWNER,
                &certificate,
                "--add-kek",
                OWNER,
                &certificate,
                "--add-db",
                OWNER,
                &certificate,
                "--sb",
            ],
        );
        Some(this)
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Changes the firmware's variables.
    fn variables(&self, from: &Path, to: &str, arguments: &[&str]) {
        let package = unpacked("trixie", "python3-virt-firmware");
        let mut vars = Command::new("/usr/bin/python3");
        vars.env("PYTHONPATH", package.join("usr/lib/python3/dist-packages"))
            .args(["-m", "virt.firmware.vars", "--input"])
            .arg(from)
            .args(["--output", &self.file(to)])
            .args(arguments);
        printed(&mut vars);
    }

    /// The command for `--sign-with`.
    pub fn command(&self) -> String {
        format!(
            r#"sbsign --key '{}' --cert '{}' --output "$SIGNED" "$UNSIGNED""#,
            self.file("key"),
            self.file("certificate")
        )
    }

    /// Whether another program finds that the key has signed the file.
    pub fn verifies(&self, file: &Path) -> bool {
        let mut verify = Command::new("sbverify");
        verify.args(["--cert", &self.file("certificate")]).arg(file);
        ran(&mut verify).status.success()
    }

    /// Checks that the key has signed the file.
    pub fn has_signed(&self, file: &Path) {
        assert!(self.verifies(file), "{} is not signed", file.display());
    }

    /// The signature of a file, which has the hash that it is of.
    pub fn signature(&self, file: &Path) -> Vec<u8> {
        let signature = file.with_extension("signature");
        let mut detach = Command::new("sbattach");
        detach.arg("--detach").arg(&signature).arg(file);
        printed(&mut detach);
        fs::read(&signature).expect("a signature")
    }

    /// A machine that has nothing to boot.
    pub fn machine(&self) -> Machine {
        self.machine_with("variables")
    }

    fn machine_with(&self, variables: &str) -> Machine {
        let flash = |file: String, more| format!("if=pflash,format=raw,file={file},{more}");
        Machine::new()
            .memory_mib(1024)
            .argument("-machine")
            .argument("q35")
            .argument("-drive")
            .argument(flash(self.code.display().to_string(), "readonly=on"))
            // What one boot changes, the next does not see.
            .argument("-drive")
            .argument(flash(self.file(variables), "snapshot=on"))
    }

    /// A machine with a disk that has the file where firmware looks for it.
    pub fn machine_with_disk(&self, file: &Path) -> Machine {
        let disk = file.with_extension("disk");
        let image = fs::File::create(&disk).expect("a disk");
        image.set_len(128 << 20).expect("a disk");
        let run = |program: &str, arguments: &[&str]| {
            let mut tool = Command::new(program);
            printed(tool.arg("-i").arg(&disk).args(arguments));
        };
        let file = file.to_str().expect("a path in text");
        run("mformat", &["-F", "::"]);
        run("mmd", &["::/EFI", "::/EFI/BOOT"]);
        run("mcopy", &[file, "::/EFI/BOOT/BOOTX64.EFI"]);
        self.machine().argument("-drive").argument(format!(
            "file={},format=raw,if=virtio,readonly=on",
            disk.display()
        ))
    }

    /// A machine that loads a file over HTTP.
    pub fn machine_from(&self, url: &str) -> Machine {
        let variables = self.folder.join("variables");
        self.variables(&variables, "variables-http", &["--set-boot-uri", url]);
        self.machine_with("variables-http")
            .argument("-nic")
            .argument("user,model=virtio-net-pci")
            // Firmware loads nothing over the network without random numbers.
            .argument("-device")
            .argument("virtio-rng-pci")
    }
}
