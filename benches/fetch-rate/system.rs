//! The system to fetch: a large file, busybox, and curl with its libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use storeboot_benches::noise;
use storeboot_tests::command::{printed, storeboot};
use storeboot_tests::debian::static_binaries;
use storeboot_tests::fixture::{Fixture, INIT, Manner, Recipe, SYSTEM, make_removable};
use storeboot_tests::qemu::Kernel;

/// How often stage 2 runs curl.
pub const TIMES: u32 = 3;

const BUSYBOX: &str = "11111111111111111111111111111111-busybox";
const DATA: &str = "22222222222222222222222222222222-data";
const CURL: &str = "33333333333333333333333333333333-curl";
/// Where Debian's curl is.
const PROGRAM: &str = "/usr/bin/curl";

/// A netboot directory of layout `fetch` with one image.
pub struct System {
    pub netboot: PathBuf,
    /// The image's path in the netboot directory.
    pub image: PathBuf,
    pub image_size: u64,
    pub command_line: String,
}

impl System {
    /// Builds it in a folder, whose old content is removed.
    pub fn build(folder: &Path, kernel: &Kernel, mib: u32) -> Result<Self> {
        make_removable(folder);
        let _ = fs::remove_dir_all(folder);
        let store = store(folder, mib)?;
        let netboot = folder.join("netboot");
        printed(
            Command::new(storeboot())
                .args(["build", "--quiet", "--layout", "fetch", "--init", INIT])
                .args(["--compression", "zstd:1", "--path-info"])
                .arg(&store.path_info)
                .arg("--store-root")
                .arg(&store.root)
                .arg("--kernel")
                .arg(kernel.image())
                .arg("--modules")
                .arg(kernel.folder())
                .arg("--stage1")
                .arg(static_binaries().join("storeboot-init"))
                .arg("--output")
                .arg(&netboot),
        );
        let mut images = fs::read_dir(netboot.join("images")).context("the images")?;
        let image = images.next().context("no image")??;
        Ok(Self {
            image: Path::new("images").join(image.file_name()),
            image_size: image.metadata()?.len(),
            command_line: fs::read_to_string(netboot.join("kernelAppend"))?
                .trim()
                .into(),
            netboot,
        })
    }
}

fn store(folder: &Path, mib: u32) -> Result<Fixture> {
    let mut recipe = Recipe::default();
    let busybox = fs::read("/bin/busybox").context("install busybox-static")?;
    recipe.program(format!("{BUSYBOX}/bin/busybox"), busybox);
    recipe.file(format!("{DATA}/data"), noise(u64::from(mib) << 18));
    let loader = curl(&mut recipe)?;
    let curl = format!("/nix/store/{CURL}");
    let script = format!(
        "#!/nix/store/{BUSYBOX}/bin/busybox sh\n\
         for run in $(/nix/store/{BUSYBOX}/bin/busybox seq {TIMES}); do\n  \
           {curl}/{loader} --library-path {curl} {curl}/curl --silent --show-error --output /dev/null \"$BENCH_URL\"\n\
         done\n\
         /nix/store/{BUSYBOX}/bin/busybox poweroff -f\n"
    );
    recipe.program(format!("{SYSTEM}/init"), script);
    Ok(recipe.write(folder, Manner::default()))
}

/// Adds curl and its libraries to the store, and returns the name of the dynamic loader.
fn curl(recipe: &mut Recipe) -> Result<String> {
    let text = printed(Command::new("ldd").arg(PROGRAM));
    let text = String::from_utf8(text).context("ldd writes text")?;
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    let mut loader = None;
    for file in [PROGRAM].into_iter().chain(libraries) {
        let name = file.rsplit('/').next().unwrap_or_default();
        let content = fs::read(file).with_context(|| file.to_owned())?;
        recipe.program(format!("{CURL}/{name}"), content);
        if name.starts_with("ld-linux") {
            loader = Some(name.to_owned());
        }
    }
    loader.context("curl needs no dynamic loader")
}
