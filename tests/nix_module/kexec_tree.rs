//! The kexec script in the folder that the module puts it into, where the initrd has the name that it has in nixpkgs'.

use std::fs;
use std::path::Path;
use std::process::Command;

use storeboot_tests::command::{Scratch, ran, write_program};

/// What the script calls kexec with, in a folder with these files.
fn loaded(built: &str, files: &[&str]) -> (Scratch, Result<String, String>) {
    let folder = Scratch::new();
    for inside in ["bin", "tree", "elsewhere"] {
        fs::create_dir(folder.join(inside)).expect("a folder");
    }
    for name in files {
        fs::write(folder.join(name), "").expect("a file");
    }
    let elsewhere = folder.join("elsewhere");
    let script = include_str!("../../crates/storeboot/src/netboot/kexec-boot.sh")
        .replace("@network@", "")
        .replace("@kernel@", "Image")
        .replace("@command_line@", "init=/x")
        .replace(
            "\nbuilt=\n",
            &format!(
                "\nbuilt={}\n",
                built.replace("@", elsewhere.to_str().expect("text"))
            ),
        );
    fs::write(folder.join("tree/kexec-boot"), script).expect("the script");
    for name in ["kexec", "systemctl", "sync"] {
        write_program(&folder.join("bin").join(name), "#!/bin/sh\necho \"$*\"\n");
    }
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let output = ran(Command::new("/bin/sh")
        .arg(folder.join("tree/kexec-boot"))
        .current_dir(Path::new("/"))
        .env("PATH", path));
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).replace(folder.path().to_str().expect("text"), "@")
    };
    let said = if output.status.success() {
        Ok(text(&output.stdout)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned())
    } else {
        Err(text(&output.stderr))
    };
    (folder, said)
}

#[test]
fn the_files_beside_the_script_are_taken_under_either_name() {
    for (files, kernel, initrd) in [
        (["tree/bzImage", "tree/initrd.gz"], "bzImage", "initrd.gz"),
        (["tree/Image", "tree/initrd"], "Image", "initrd"),
    ] {
        let (_folder, said) = loaded("", &files);
        assert_eq!(
            said,
            Ok(format!(
                "--load @/tree/{kernel} --initrd=@/tree/{initrd} --command-line=init=/x"
            ))
        );
    }
}

#[test]
fn where_there_are_none_those_in_the_store_are() {
    let (_folder, said) = loaded("@", &["elsewhere/Image", "elsewhere/initrd", "tree/initrd"]);
    assert_eq!(
        said,
        Ok("--load @/elsewhere/Image --initrd=@/elsewhere/initrd --command-line=init=/x".into())
    );
}

#[test]
fn where_there_are_none_at_all_nothing_is_loaded() {
    let (_folder, said) = loaded("", &["tree/initrd"]);
    assert_eq!(
        said,
        Err("kexec-boot: there is no Image and initrd beside @/tree/kexec-boot\n".into())
    );
}
