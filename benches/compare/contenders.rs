//! The programs to measure, and their commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The closure that is packed, and the programs that pack it.
pub struct Closure {
    /// The folder for packed files.
    pub work: PathBuf,
    pub storeboot: PathBuf,
    pub paths: usize,
    pub nar_size: u64,
}

/// The line of the picture that a command belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    StorebootImage,
    Mksquashfs,
    StorebootDirect,
    Cpio,
    None,
}

/// A command that reads all files.
pub const READ: &str = "xargs -I{} find {} -type f -print0 <store-paths | xargs -0 cat >/dev/null";

/// One way to pack the closure.
pub struct Contender {
    pub name: &'static str,
    pub series: Series,
    /// A command that runs first and is not measured.
    pub before: String,
    /// The command, for Bash. It writes the file `out`.
    pub command: String,
    /// Whether the page cache has to be emptied before.
    pub cold: bool,
}

impl Closure {
    pub fn open(work: &Path, storeboot: &Path) -> Result<Self> {
        let work =
            fs::canonicalize(work).with_context(|| format!("cannot open {}", work.display()))?;
        let storeboot = fs::canonicalize(storeboot)
            .with_context(|| format!("cannot open {}", storeboot.display()))?;
        let text = fs::read(work.join("path-info.json"))
            .context("scripts/bench-closure makes the closure")?;
        let infos: Value = serde_json::from_slice(&text)?;
        let infos = infos.as_array().context("path-info.json is not a list")?;
        let closure = Self {
            paths: infos.len(),
            nar_size: infos
                .iter()
                .filter_map(|info| info["narSize"].as_u64())
                .sum(),
            work,
            storeboot,
        };
        closure.change(infos)?;
        Ok(closure)
    }

    /// Writes `changed.json`: the same closure with one store path of about 1 MB replaced by a changed copy. Adds the
    /// copy to the store.
    fn change(&self, infos: &[Value]) -> Result<()> {
        let distance = |info: &&Value| info["narSize"].as_u64().unwrap_or(0).abs_diff(1_000_000);
        let info = infos
            .iter()
            .min_by_key(distance)
            .context("the closure is empty")?;
        let old = info["path"].as_str().context("a path")?;
        let script = r#"
            name=${1#/nix/store/*-}
            rm -rf "$2/changed"; mkdir "$2/changed"; cp -R "$1" "$2/changed/$name"; chmod -R u+w "$2/changed/$name"
            echo changed >"$2/changed/$name/changed"
            new=$(nix-store --add "$2/changed/$name")
            printf '%s %s %s' "$new" "$(nix-store --query --hash "$new")" "$(nix-store --query --size "$new")"
            rm -rf "$2/changed""#;
        let output = Command::new("bash")
            .args(["-euc", script, "bash", old])
            .arg(&self.work)
            .output()?;
        ensure!(
            output.status.success(),
            "nix-store: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let [new, hash, size] = text.split(' ').collect::<Vec<_>>()[..] else {
            bail!("nix-store printed {text:?}");
        };
        let mut text = serde_json::to_string(infos)?.replace(old, new);
        let mut changed: Vec<Value> = serde_json::from_str(&text)?;
        for info in &mut changed {
            if info["path"] == new {
                info["narHash"] = hash.into();
                info["narSize"] = size.parse::<u64>()?.into();
            }
        }
        text = serde_json::to_string(&changed)?;
        fs::write(self.work.join("changed.json"), text)?;
        Ok(())
    }
}

/// All contenders, in the order of the table.
pub fn all() -> Vec<Contender> {
    let mut all = Vec::new();
    let mut add = |name, series, before: &str, command: &str| {
        all.push(Contender {
            name,
            series,
            before: before.into(),
            command: command.into(),
            cold: false,
        });
    };
    for (ours, theirs, level) in [
        ("storeboot, squashfs, zstd 19", "mksquashfs, zstd 19", 19),
        ("storeboot, squashfs, zstd 18", "mksquashfs, zstd 18", 18),
        ("storeboot, squashfs, zstd 15", "mksquashfs, zstd 15", 15),
        ("storeboot, squashfs, zstd 9", "mksquashfs, zstd 9", 9),
        ("storeboot, squashfs, zstd 3", "mksquashfs, zstd 3", 3),
    ] {
        add(
            theirs,
            Series::Mksquashfs,
            // The second pass reads this image.
            if level == 19 { "rm -rf second" } else { "" },
            &format!(
                "peers/bin/mksquashfs $(cat store-paths) out -no-hardlinks -keep-as-directory -all-root -no-progress -quiet \
                 -b 1048576 -comp zstd -Xcompression-level {level}"
            ),
        );
        if level == 19 {
            add(
                "nixpkgs' second pass over that image: cpio, zstd 10",
                Series::None,
                "[ -e second ] || { mkdir second; mv out second/nix-store.squashfs; }",
                "(cd second && echo nix-store.squashfs | cpio --quiet -o -H newc -R +0:+0 --reproducible | zstd -q -10) >out",
            );
        }
        add(
            ours,
            Series::StorebootImage,
            "",
            &format!(
                "storeboot pack --quiet --path-info path-info.json --format squashfs --compression zstd:{level} --output out"
            ),
        );
    }
    add(
        "storeboot, squashfs, zstd 3, without a check of NAR hashes",
        Series::None,
        "",
        "storeboot pack --quiet --no-check --path-info path-info.json --format squashfs --compression zstd:3 --output out",
    );
    add(
        "storeboot, squashfs, zstd 19, an empty cache",
        Series::None,
        "rm -rf cache full-cache",
        "storeboot pack --quiet --path-info path-info.json --format squashfs --compression zstd:19 --cache cache --output out",
    );
    add(
        "storeboot, squashfs, zstd 19, nothing changed",
        Series::None,
        "[ -e full-cache ] || cp -a cache full-cache",
        "storeboot pack --quiet --path-info path-info.json --format squashfs --compression zstd:19 --cache cache --output out",
    );
    add(
        "storeboot, squashfs, zstd 19, one path of 1 MB changed",
        Series::None,
        "rm -rf cache; cp -a full-cache cache",
        "storeboot pack --quiet --path-info changed.json --format squashfs --compression zstd:19 --cache cache --output out",
    );
    let list = "sed s:^/:: store-paths | (cd / && xargs -I{} find {} -print0) | LC_ALL=C sort -z";
    let cpio = "(cd / && cpio --quiet -0 -o -H newc -R +0:+0 --reproducible)";
    add(
        "find, sort, cpio",
        Series::None,
        "",
        &format!("{list} | {cpio} >out"),
    );
    for (name, arguments) in [
        ("… + zstd -3 -T2", "-3 -T2"),
        ("… + zstd -10 --long=27 -T2", "-10 --long=27 -T2"),
        ("… + zstd -12 --long=27 -T2", "-12 --long=27 -T2"),
    ] {
        let command = format!("{list} | {cpio} | zstd -q {arguments} >out");
        add(name, Series::Cpio, "", &command);
    }
    for (name, level) in [
        ("storeboot, direct, zstd 3", 3),
        ("storeboot, direct, zstd 10", 10),
        ("storeboot, direct, zstd 12", 12),
    ] {
        let command = format!(
            "storeboot pack --quiet --path-info path-info.json --format cpio --compression zstd:{level} --output out"
        );
        add(name, Series::StorebootDirect, "", &command);
    }
    let generator = "peers/bin/nix-cpio-generator $(readlink system) generated out";
    add(
        "nix-cpio-generator, an empty cache",
        Series::None,
        "rm -rf generated; mkdir generated",
        generator,
    );
    add(
        "nix-cpio-generator, nothing changed",
        Series::None,
        "",
        generator,
    );
    let archives = "storeboot pack --quiet --path-info path-info.json --format cpio --archives per-path --compression zstd:9 --cache archives --output out";
    add(
        "storeboot, direct, an archive for each path, an empty cache",
        Series::None,
        "rm -rf archives",
        archives,
    );
    add(
        "storeboot, direct, an archive for each path, nothing changed",
        Series::None,
        "",
        archives,
    );
    // gensquashfs's own way to find files (`glob`) does not take several folders.
    let list = "(cd /nix/store && sed s:.*/:: \"$OLDPWD/store-paths\" | xargs -I{} find {} -type d -printf 'dir \"/%p\" 0555 0 0\\n' \
        -o -type l -printf 'slink \"/%p\" 0777 0 0 %l\\n' -o -type f -printf 'file \"/%p\" 0%m 0 0 nix/store/%p\\n') >pack-file";
    add(
        "gensquashfs (squashfs-tools-ng), zstd 15",
        Series::None,
        list,
        "gensquashfs -q -f -D / --pack-file pack-file -c zstd -X level=15 -b 1M -j 2 out",
    );
    let tar = "tar -c --sort=name --owner=0 --group=0 --mtime=@1 --hard-dereference -P --transform=s:^/nix/store/:: -T store-paths";
    add(
        "mkfs.erofs, zstd 3, for reference",
        Series::None,
        &format!("{tar} >closure.tar"),
        "peers/bin/mkfs.erofs --quiet --tar=f -zzstd,level=3 -C1048576 --workers=2 out closure.tar",
    );
    // These run last, since the others need the files in the page cache.
    let cold = [
        (
            "mksquashfs, zstd 3",
            "mksquashfs, zstd 3, a cold page cache",
        ),
        (
            "storeboot, squashfs, zstd 3",
            "storeboot, squashfs, zstd 3, a cold page cache",
        ),
        (
            "storeboot, direct, zstd 3",
            "storeboot, direct, zstd 3, a cold page cache",
        ),
        ("", "reading all files, a cold page cache"),
    ];
    for (warm, name) in cold {
        let command = all.iter().find(|contender| contender.name == warm);
        all.push(Contender {
            name,
            series: Series::None,
            before: String::new(),
            command: command
                .map_or_else(|| format!("{READ}; touch out"), |warm| warm.command.clone()),
            cold: true,
        });
    }
    all
}
