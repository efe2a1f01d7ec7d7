//! Invalid closures, in every input form.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use storeboot_tests::fixture::{FILE, SYSTEM};

use super::attempt::{World, text};

/// A store path that does not exist.
const OTHER: &str = "/nix/store/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-other";

/// The world's closure with the objects of the file and of the system changed.
fn changed(world: &World, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let mut closure = world.fixture.closure.clone();
    if let Some([file, system]) = closure.as_array_mut().map(Vec::as_mut_slice) {
        change(file, system);
    }
    closure.to_string()
}

#[test]
fn a_closure_that_is_not_closed_is_refused() {
    let world = World::new();
    let open = changed(&world, |_, system| system["references"] = json!([OTHER]));
    for option in ["--path-info", "--graph"] {
        let file = world.file("open.json", &open);
        for attempt in [world.build(), world.pack("squashfs"), world.pack("cpio")] {
            attempt.without("--path-info").set(option, &file).fails([
                &text(&file),
                SYSTEM,
                OTHER,
                "not closed",
            ]);
        }
    }
}

#[test]
fn a_path_info_that_is_not_sound_is_refused() {
    let world = World::new();
    let hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let file_path = format!("/nix/store/{FILE}");
    let system_path = format!("/nix/store/{SYSTEM}");
    let twice = {
        let mut closure = world.fixture.closure.clone();
        let mut again = closure[0].clone();
        again["narSize"] = json!(7);
        closure.as_array_mut().expect("a list").push(again);
        closure.to_string()
    };
    let map = |info: Value| json!({ &file_path: info }).to_string();
    let cases: Vec<(String, Vec<&str>)> = vec![
        (String::new(), vec!["JSON"]),
        ("{".into(), vec!["JSON"]),
        ("nonsense".into(), vec!["JSON"]),
        ("\u{0}\u{1b}".into(), vec!["JSON"]),
        ("7".into(), vec!["JSON"]),
        ("[".repeat(100_000), vec!["JSON"]),
        ("{\"a\":".repeat(100_000), vec![""]),
        ("[]".into(), vec!["no store path"]),
        ("{}".into(), vec!["no store path"]),
        ("[{}]".into(), vec!["path"]),
        (twice, vec![FILE, "twice"]),
        (map(Value::Null), vec![FILE, "not valid"]),
        (
            map(json!({ "references": [], "valid": false })),
            vec![FILE, "not valid"],
        ),
        (map(json!({ "narSize": 96 })), vec![FILE, "references"]),
        (map(json!({ "references": "none" })), vec!["JSON"]),
        (
            map(json!({ "references": [], "narHash": "md5:00", "narSize": 96 })),
            vec!["md5:00"],
        ),
        (
            map(json!({ "references": [], "narHash": "rubbish", "narSize": 96 })),
            vec!["rubbish"],
        ),
        (
            map(json!({ "references": [], "narHash": hash, "narSize": -1 })),
            vec!["JSON"],
        ),
        (
            map(json!({ "references": ["/etc/passwd"] })),
            vec!["/etc/passwd"],
        ),
        (
            map(json!({ "references": ["/nix/store/../../etc"] })),
            vec!["/nix/store/../../etc"],
        ),
        (
            map(json!({ "references": [], "storeDir": "/gnu/store" })),
            vec!["/gnu/store"],
        ),
        (
            json!({ "/nix/store/short-name": { "references": [] } }).to_string(),
            vec!["short-name"],
        ),
        (
            json!({ "/tmp/x": { "references": [] } }).to_string(),
            vec!["/tmp/x"],
        ),
        (
            json!({ "line\nbreak\u{1b}[31m": { "references": [] } }).to_string(),
            vec!["break"],
        ),
        (
            changed(&world, |file, _| file["references"] = json!([&system_path])),
            vec![FILE, SYSTEM, "cycle"],
        ),
    ];
    for (content, mut words) in cases {
        let file = world.file("path-info.json", content);
        let name = text(&file);
        words.push(&name);
        world
            .pack("squashfs")
            .set("--path-info", &file)
            .fails(words);
    }
}

#[test]
fn a_hash_without_a_size_is_checked() {
    let world = World::new();
    // The size is missing, so storeboot computes the hash, and finds a different one.
    let wrong = changed(&world, |file, _| {
        file["narHash"] = json!("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        file["narSize"] = json!(0);
    });
    let file = world.file("wrong.json", wrong);
    let attempt = world.pack("squashfs").set("--path-info", file);
    attempt.fails([FILE, "not what was registered"]);
}

#[test]
fn a_file_that_should_hold_a_closure_is_named() {
    let world = World::new();
    let missing = world.path("missing");
    let folder = world.path("root");
    for option in ["--path-info", "--graph", "--closure-info"] {
        let pack = || world.pack("cpio").without("--path-info");
        pack()
            .set(option, &missing)
            .fails([text(&missing), "No such file".into()]);
        if option == "--closure-info" {
            pack()
                .set(option, &folder)
                .fails([text(folder.join("registration")), "No such file".into()]);
        } else {
            pack()
                .set(option, &folder)
                .fails([text(&folder), "Is a directory".into()]);
        }
    }
}

#[test]
fn a_graph_that_is_not_sound_is_refused() {
    let world = World::new();
    let path = format!("/nix/store/{FILE}");
    for (content, word) in [
        (String::new(), "no store path"),
        (path.clone(), "line 1"),
        (format!("{path}\n\n"), "line 3"),
        (format!("{path}\n\n0"), "line 3"),
        (format!("{path}\n\nmany\n"), "many"),
        (format!("{path}\n\n-1\n"), "-1"),
        (format!("{path}\n\n1\n"), "line 4"),
        (format!("{path}\n\n18446744073709551615\n"), "line 4"),
        (format!("{path}\n\n1\n/etc\n"), "/etc"),
        (format!("{path}\n/etc\n0\n"), "/etc"),
        (format!("{path}\n\n1\n{OTHER}\n"), "not closed"),
        ("\u{1b}[31m\n\n0\n".into(), "line 1"),
        (format!("{}\n\n0\n", "x".repeat(100_000)), "line 1"),
    ] {
        let file = world.file("graph", content);
        let attempt = world.pack("cpio").without("--path-info");
        attempt.set("--graph", &file).fails([&text(&file), word]);
    }
}

#[test]
fn a_closure_info_that_is_not_sound_is_refused() {
    let world = World::new();
    let info = world.path("info");
    fs::create_dir(&info).expect("a folder");
    let object = &world.fixture.closure[0];
    let (path, hash) = (object["path"].as_str(), object["narHash"].as_str());
    let (path, hash) = (path.expect("text"), hash.expect("text"));
    let size = object["narSize"].as_u64().expect("a number");
    let registration = format!("{path}\n{hash}\n{size}\n\n0\n");
    let attempt = || {
        let attempt = world.pack("cpio").without("--path-info");
        attempt.set("--closure-info", &info)
    };
    let put = |name: &str, content: &str| fs::write(info.join(name), content).expect("a file");

    put("registration", &registration);
    attempt().fails([text(info.join("store-paths")), "No such file".into()]);
    put("store-paths", &format!("{path}\n"));
    attempt().succeeds();
    put("store-paths", &format!("{path}\n{OTHER}\n"));
    attempt().fails([&text(&info), OTHER, "not registered"]);
    put("store-paths", "");
    attempt().fails([text(&info)]);
    put("store-paths", &format!("{path}\n"));
    put("total-nar-size", "7\n");
    attempt().fails([&text(&info), "total-nar-size", "7"]);
    put("total-nar-size", "much\n");
    attempt().fails([&text(&info), "total-nar-size", "much"]);
    put("total-nar-size", &format!("{size}\n"));
    attempt().succeeds();
    put("registration", &registration.replace("sha256-", "sha1-"));
    attempt().fails([&text(info.join("registration")), "line 2"]);
    put("registration", &registration[..registration.len() - 2]);
    attempt().fails([&text(info.join("registration")), "line 5"]);
}

#[test]
fn roots_that_lead_nowhere_are_named() {
    let world = World::new();
    let pack = |root: &std::path::Path| {
        let attempt = world.pack("cpio").without("--path-info");
        attempt.without("--store-root").set("--root", root)
    };
    let missing = world.path("missing");
    pack(&missing).fails([text(&missing), "No such file".into()]);
    let elsewhere = world.file("elsewhere", "");
    pack(&elsewhere).fails([text(&elsewhere), "not in the store".into()]);
    let (one, other) = (world.path("one"), world.path("other"));
    symlink(&one, &other).expect("a link");
    symlink(&other, &one).expect("a link");
    pack(&one).fails([text(&one)]);
    // A store path, and no Nix to ask.
    pack(OTHER.as_ref())
        .env("PATH", world.path("root"))
        .fails(["nix-store", "without Nix"]);
}
