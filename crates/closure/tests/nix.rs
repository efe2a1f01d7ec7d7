//! The readers and the registration against a real Nix.

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use storeboot_closure::{
    Closure, Error, Input, NarHash, PathInfo, Registration, StoreDir, StorePath, StoreRoot,
    from_roots, graph_from_value, nar, read_closure_info, read_graph, read_path_info,
    read_registration, resolve_root,
};
use support::{NIX_CONFIG, PrivateNix, have, line, run};

fn registration(closure: &Closure, style: Registration) -> String {
    let mut bytes = Vec::new();
    closure.write_registration(&mut bytes, style).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn without_derivers(closure: &Closure) -> Closure {
    let infos = closure.paths().cloned().map(|mut info| {
        info.deriver = None;
        info
    });
    Closure::new(closure.store_dir().clone(), infos).unwrap()
}

#[test]
fn all_forms_tell_the_same() {
    if !have(&["nix-store", "nix-build", "nix", "bash", "jq"]) {
        return;
    }
    let nix = PrivateNix::new();
    let dir = &nix.store_dir;
    let top = nix.build("top");
    let paths = nix.requisites(&top);
    assert_eq!(paths.len(), 4);

    // --dump-db is what all others are compared with; and it comes out as it went in.
    let dump = run(nix.command("nix-store").arg("--dump-db").args(&paths));
    let known = read_registration(&dump[..], dir).unwrap();
    assert_eq!(known.len(), 4);
    let written = registration(&known, Registration::DumpDb);
    assert_eq!(written.as_bytes(), dump);
    assert!(known.paths().all(|info| info.deriver.is_some()));

    let mut path_info = nix.command("nix");
    let json = run(path_info
        .args(["path-info", "--json", "--recursive"])
        .arg(&top));
    assert_eq!(read_path_info(&json[..], dir).unwrap(), known);

    // The builder's forms have no derivers, and the classic one has no hashes.
    let known = without_derivers(&known);
    let attrs = nix.build("attrs");
    let value: serde_json::Value = serde_json::from_reader(File::open(&attrs).unwrap()).unwrap();
    let graph = graph_from_value(value["closure"].clone(), dir).unwrap();
    assert_eq!(graph, known);
    let text = value["closure"].to_string();
    assert_eq!(read_graph(text.as_bytes(), dir).unwrap(), known);

    let text = nix.build("text");
    let mut graph = read_graph(File::open(text).unwrap(), dir).unwrap();
    assert!(graph.paths().all(|info| info.nar_hash.is_none()));
    let incomplete = graph.write_registration(std::io::sink(), Registration::DumpDb);
    assert!(matches!(incomplete, Err(Error::Incomplete { .. })));
    graph.check_present(&StoreRoot::system()).unwrap();
    graph.complete(&StoreRoot::system()).unwrap();
    assert_eq!(graph, known);

    // Each path comes after its references.
    let order: Vec<_> = known.topological().iter().map(|i| i.path.name()).collect();
    assert_eq!(order, ["file", "tree", "link", "top"]);

    closure_info_is_read_and_written(&nix, &attrs, &known);
}

fn closure_info_is_read_and_written(nix: &PrivateNix, attrs: &Path, known: &Closure) {
    let jq = |program: &str| {
        let mut jq = Command::new("jq");
        run(jq.args(["-r", program]).arg(attrs))
    };
    // What closureInfo's own program prints.
    let lines =
        r#".closure[] | .path, .narHash, .narSize, "", (.references | length), .references[]"#;
    let expected = jq(lines);
    let written = registration(known, Registration::ClosureInfo);
    assert_eq!(written.as_bytes(), expected);

    let dir = nix.path("closure-info");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("registration"), &expected).unwrap();
    fs::write(dir.join("store-paths"), jq(".closure[].path")).unwrap();
    let read = || read_closure_info(&dir, &nix.store_dir);
    assert_eq!(&read().unwrap(), known);
    let size = jq(".closure | map(.narSize) | add");
    fs::write(dir.join("total-nar-size"), size).unwrap();
    assert_eq!(&read().unwrap(), known);
    let input = Input::ClosureInfo(dir.clone());
    assert_eq!(
        &input.read(&nix.store_dir, &StoreRoot::system()).unwrap(),
        known
    );

    fs::write(dir.join("total-nar-size"), "12\n").unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("total-nar-size disagree"), "{error}");
    fs::write(dir.join("store-paths"), jq(".closure[1:][].path")).unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("only the registration has"), "{error}");
}

/// A closure in a store under another root: two files of Nix's own making, and a path that
/// refers to itself, of ours, which Nix learns about from our registration.
struct Rooted {
    dir: tempfile::TempDir,
    root: StoreRoot,
}

impl Rooted {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = StoreRoot::under(dir.path().join("ro ot?é"));
        Self { dir, root }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let root = self.root.root.as_ref().unwrap().to_str().unwrap();
        let root = root.replace('?', "%3F").replace(' ', "%20");
        command
            .arg("--store")
            .arg(format!("local?root={root}"))
            .env("NIX_CONFIG", NIX_CONFIG)
            .env("HOME", self.dir.path())
            .env_remove("NIX_REMOTE");
        command
    }

    /// Leaves the files, but no database that knows of them.
    fn forget(&self) {
        let root = self.root.root.as_ref().unwrap();
        fs::remove_dir_all(root.join("nix/var")).unwrap();
    }

    fn load(&self, closure: &Closure, style: Registration) {
        let mut load = self.command("nix-store");
        let mut load = load.arg("--load-db").stdin(Stdio::piped()).spawn().unwrap();
        // Nix reads up to the end, which comes when this is dropped.
        let stdin = load.stdin.take().unwrap();
        closure.write_registration(stdin, style).unwrap();
        assert!(load.wait().unwrap().success());
    }
}

#[test]
fn nix_takes_what_is_written_and_tells_it_again() {
    if !have(&["nix-store", "nix-instantiate"]) {
        return;
    }
    let rooted = Rooted::new();
    let (store_dir, root) = (StoreDir::default(), &rooted.root);
    let expression = r#"builtins.toFile "b" "uses ${builtins.toFile "a" "hello"}""#;
    let mut evaluate = rooted.command("nix-instantiate");
    evaluate.args(["--eval", "--read-write-mode", "--expr", expression]);
    let b = line(&mut evaluate).trim_matches('"').to_owned();

    let plain = from_roots(&[&b], &store_dir, root).unwrap();
    let names: Vec<_> = plain.topological().iter().map(|i| i.path.name()).collect();
    assert_eq!(names, ["a", "b"]);

    // One more path, of which Nix knows nothing yet.
    let own = StorePath::from_parts([7; 20], "own").unwrap();
    let place = root.locate(&store_dir, &own);
    fs::create_dir(&place).unwrap();
    fs::write(place.join("file"), format!("{b} {own}")).unwrap();
    let b = store_dir.parse_path(b.as_bytes()).unwrap();
    let mut infos: Vec<_> = plain.paths().cloned().collect();
    infos.push(PathInfo::new(own.clone(), [own.clone(), b.clone()]));
    let mut closure = Closure::new(store_dir.clone(), infos).unwrap();
    closure.complete(root).unwrap();

    // Into a store whose database is empty, as on the first boot of an image.
    for style in [Registration::DumpDb, Registration::ClosureInfo] {
        rooted.forget();
        rooted.load(&closure, style);
        let dump = run(rooted.command("nix-store").arg("--dump-db"));
        let written = registration(&closure, Registration::DumpDb);
        assert_eq!(String::from_utf8(dump).unwrap(), written);
    }
    // Nix, too, finds that every hash is right.
    run(rooted
        .command("nix-store")
        .args(["--verify", "--check-contents"]));

    // However a user may point to it.
    let link = rooted.dir.path().join("result");
    std::os::unix::fs::symlink(own.to_string(), &link).unwrap();
    let second = rooted.dir.path().join("link-to-link");
    std::os::unix::fs::symlink("./result", &second).unwrap();
    for path in [
        &link,
        &second,
        &place,
        &place.join("file"),
        Path::new(&own.to_string()),
    ] {
        let name = path.display();
        let found = resolve_root(path, &store_dir, root);
        assert_eq!(found.unwrap(), own, "{name}");
        let asked = from_roots(&[path], &store_dir, root);
        assert_eq!(asked.unwrap(), closure, "{name}");
    }

    // What Nix does not know is an error in its own words.
    let unknown = StorePath::from_parts([9; 20], "unknown").unwrap();
    let error = from_roots(&[unknown.to_string()], &store_dir, root).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("-unknown' is not valid"), "{text}");
    assert!(!text.contains('\n'), "{text}");

    // And what has changed since is found.
    fs::write(place.join("file"), "other").unwrap();
    let info = closure.get(&own).unwrap();
    let (hash, size) = nar::hash(&place).unwrap();
    let changed = info.check(&store_dir, hash, size).unwrap_err();
    assert!(matches!(changed, Error::Changed { .. }), "{changed}");
    fs::remove_dir_all(&place).unwrap();
    let missing = closure.check_present(root).unwrap_err().to_string();
    assert!(
        missing.contains("1 of the closure's 3 store paths is not there"),
        "{missing}"
    );
}

#[test]
fn nars_are_those_of_nix() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;

    if !have(&["nix-store"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("deep/deeper/empty")).unwrap();
    let byte_name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(tree.join(byte_name), "latin").unwrap();
    fs::write(tree.join("a.b"), "sorts before a/").unwrap();
    fs::create_dir(tree.join("a")).unwrap();
    for size in [0, 1, 7, 8, 9, 65_535, 65_536, 65_537, 200_000] {
        fs::write(tree.join(format!("a/{size}")), vec![b'x'; size]).unwrap();
    }
    for (name, mode) in [("owner", 0o700), ("group", 0o654), ("all", 0o555)] {
        let path = tree.join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::symlink("/nowhere", tree.join("link")).unwrap();

    for path in ["", "a/0", "a/65537", "owner", "link", "deep"] {
        let path = tree.join(path);
        let dump = run(Command::new("nix-store").arg("--dump").arg(&path));
        let mut own = Vec::new();
        let size = nar::write(&mut nar::Disk, path.clone(), &path, &mut own).unwrap();
        assert!(own == dump, "{}", path.display());
        let (hash, hashed) = nar::hash(&path).unwrap();
        assert_eq!((size, hashed), (dump.len() as u64, size));
        let mut nix_hash = Command::new("nix-hash");
        nix_hash.args(["--type", "sha256"]).arg(&path);
        assert_eq!(hash, line(&mut nix_hash).parse::<NarHash>().unwrap());
    }
}
