//! `storeboot serve` builds systems when machines ask for them: from a folder of configurations, a flake, profiles and
//! Hydra, by real Nix.

#[path = "serve_demand/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use server::{Server, Site, command_line, id, names, roots_of};
use storeboot_tests::command::{have, printed, with_mounts};
use storeboot_tests::http::Site as Web;
use storeboot_tests::qemu::{Kernel, LIMIT, Machine, QUIET};

const PROGRAMS: [&str; 4] = ["nix-build", "nix-store", "nix", "curl"];
const MACHINE: &str = "/dispatch/configuration/machine";

fn site() -> Option<Site> {
    if !have(&PROGRAMS) {
        return None;
    }
    Some(Site::new(&Kernel::debian("6.12")?))
}

fn with_configurations(site: &Site) -> Server {
    let mut command = site.command();
    command
        .arg("--configurations")
        .arg(site.folder.join("configurations"));
    Server::start(command)
}

#[test]
fn a_configuration_is_built_once_for_all_and_boots() {
    let Some(site) = site() else { return };
    let server = with_configurations(&site);
    let path = format!("{MACHINE}?cmdline_prefix_args=a%3D1&cmdline_suffix_args=b%3D2");
    let scripts: Vec<String> = thread::scope(|scope| {
        let ask = |machine| server.script(&path, machine);
        let machines: Vec<_> = (1..=5)
            .map(|machine| scope.spawn(move || ask(machine)))
            .collect();
        machines
            .into_iter()
            .map(|machine| machine.join().expect("a script"))
            .collect()
    });
    assert!(
        scripts.iter().all(|script| id(script) == id(&scripts[0])),
        "{scripts:#?}"
    );
    assert_eq!(site.runs("nix-build "), 1);
    let line = command_line(&scripts[0]);
    assert!(
        line.contains("console=ttyS0 panic=-1 no_timer_check"),
        "{line}"
    );
    assert!(line.ends_with(" a=1 b=2"), "{line}");

    // Nix does not collect what is served.
    let [build] = &site.builds()[..] else {
        panic!("{:?}", site.builds());
    };
    assert!(build.ends_with("-machine"), "{build}");
    let system = site.system(build);
    let roots = roots_of(&system);
    assert!(
        roots.contains(&format!("cache/roots/{build} -> ")),
        "{roots}"
    );
    // Nothing is left of what was only for the build.
    assert_eq!(names(&site.cache().join("roots")), [build.as_str()]);

    for name in ["bzImage", "initrd"] {
        fs::write(site.folder.join(name), server.file(&id(&scripts[0]), name)).expect("a file");
    }
    let boot = Machine::new()
        .kernel(site.folder.join("bzImage"))
        .initrd(site.folder.join("initrd"))
        .append(&line)
        .append(QUIET)
        .boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    assert!(boot.console.contains("STAGE2 version one of "), "{boot}");
}

#[test]
fn a_machine_that_begins_to_boot_gets_the_newest_and_others_what_they_began() {
    let Some(site) = site() else { return };
    let server = with_configurations(&site);
    let one = id(&server.script(MACHINE, 1));
    let initrd = server.file(&one, "initrd");
    let packed = site.builds();

    // Nothing changed: nothing is packed.
    let again = id(&server.script(MACHINE, 1));
    assert_eq!(again, one);
    assert_eq!(site.builds(), packed);
    assert_eq!(site.runs("nix-build "), 2, "it is evaluated");

    site.version("two");
    let two = id(&server.script(MACHINE, 1));
    assert_ne!(two, one);
    assert_eq!(site.builds().len(), 2);
    assert!(
        server.file(&one, "initrd") == initrd,
        "the old one is as it was"
    );

    // A configuration that is broken is said to be so, and the machine asks again.
    site.write("import ./system.nix undefinedName");
    let script = server.script(MACHINE, 1);
    assert!(script.contains("undefined variable"), "{script}");
    assert!(
        script.contains("\nsleep 5\nchain --replace /dispatch/configuration/machine\n"),
        "{script}"
    );
    let line = server.says("undefined variable 'undefinedName'");
    assert!(line.contains("127.0.0.1"), "{line}");
    let script = server.script("/dispatch/configuration/other", 1);
    assert!(
        script.contains("there is no configuration other"),
        "{script}"
    );
    let (head, _) = server.ask("/dispatch/configuration/..", 1);
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");

    site.version("one");
    assert_eq!(id(&server.script(MACHINE, 1)), one, "as it was before");
}

#[test]
fn a_server_that_is_killed_goes_on_when_it_starts_again() {
    let Some(site) = site() else { return };
    let server = with_configurations(&site);
    let one = id(&server.script(MACHINE, 1));
    let initrd = server.file(&one, "initrd");
    site.version("two");
    let two = id(&server.script(MACHINE, 1));
    server.kill();
    // What a build leaves that was killed; and a name that the server does not give.
    let half = format!("builds/{}-machine", "5".repeat(32));
    fs::create_dir(site.cache().join(half)).expect("a folder");
    fs::create_dir(site.cache().join("builds/notes")).expect("a folder");

    let server = with_configurations(&site);
    // Both are on offer before anybody asks for a system.
    assert!(server.file(&one, "initrd") == initrd);
    server.file(&two, "bzImage");
    let builds = site.builds();
    assert_eq!(builds.len(), 3, "what was not completed is gone");
    assert!(builds.contains(&"notes".to_owned()), "{builds:?}");
    assert_eq!(id(&server.script(MACHINE, 1)), two);
    assert_eq!(site.runs("--dump-db"), 2, "nothing was packed again");
    // Nobody else uses the folder.
    let second = site
        .command()
        .arg("--configurations")
        .arg("/")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another server uses"), "{said}");
}

#[test]
fn a_netboot_directory_of_the_system_is_served_as_it_is() {
    let Some(site) = site() else { return };
    let server = with_configurations(&site);
    let one = id(&server.script(MACHINE, 1));
    let [build] = &site.builds()[..] else {
        panic!("{:?}", site.builds());
    };
    let packed = site.cache().join("builds").join(build);
    let copy = site.configuration().join("netboot");
    printed(Command::new("cp").arg("-r").arg(packed).arg(copy));
    server.kill();
    fs::remove_dir_all(site.cache()).expect("it is there");

    // As `import <nixpkgs/nixos>` has it.
    site.write(
        r#"{ name ? "netboot" }: {
            config.system.build.toplevel = throw "not needed";
            config.system.build.netboot = derivation {
                inherit name;
                inherit (import ./system.nix "one") system builder;
                args = [ "sh" "-c" "${./tools}/busybox cp -r ${./netboot} $out" ];
            };
        }"#,
    );
    let server = with_configurations(&site);
    assert_eq!(id(&server.script(MACHINE, 1)), one);
    let initrd = server.file(&one, "initrd");
    assert!(site.builds().is_empty());
    let roots = names(&site.cache().join("roots"));
    assert!(
        roots.len() == 1 && roots[0].ends_with("-netboot"),
        "{roots:?}"
    );
    server.kill();

    let server = with_configurations(&site);
    assert!(
        server.file(&one, "initrd") == initrd,
        "it is on offer again"
    );
}

#[test]
fn a_profile_is_what_its_link_leads_to() {
    let Some(site) = site() else { return };
    let server = with_configurations(&site);
    let one = id(&server.script(MACHINE, 1));
    let system = site.system(&site.builds()[0]);
    drop(server);

    let mut command = site.command();
    let rules = site.folder.join("rules.toml");
    let text = "[default]\nprofile = \"machine\"\nappend = \"c=3\"\nhost-name = \"node7\"\n";
    fs::write(&rules, text).expect("a file");
    command
        .arg("--profiles")
        .arg(site.profiles())
        .arg("--rules")
        .arg(&rules);
    let server = Server::start(command);
    let machine = "/machine.ipxe?mac=52-54-00-00-00-07&platform=pcbios";
    let script = server.script(machine, 1);
    assert!(
        script.contains("profiles/machine: No such file"),
        "{script}"
    );
    site.profile("machine", &system);
    let script = server.script(machine, 1);
    assert_eq!(id(&script), one);
    let line = command_line(&script);
    assert!(line.ends_with(" c=3 systemd.hostname=node7"), "{line}");
    assert_eq!(site.runs("--dump-db"), 1, "the same system is packed once");

    let outside = site.folder.join("outside");
    fs::create_dir(&outside).expect("a folder");
    site.profile("machine", &outside);
    let script = server.script("/dispatch/profile/machine", 1);
    assert!(
        script.contains("is not in the store /nix/store"),
        "{script}"
    );
}

#[test]
fn a_flake_that_did_not_change_is_not_evaluated_again() {
    let Some(site) = site() else { return };
    let mut command = site.command();
    command
        .arg("--flake")
        .arg(format!("path:{}#machine", site.configuration().display()));
    let server = Server::start(command);
    let machine = "/machine.ipxe?mac=52-54-00-00-00-07";
    let one = id(&server.script(machine, 1));
    assert_eq!(site.runs(" eval "), 1);
    assert_eq!(id(&server.script(machine, 1)), one);
    assert_eq!(id(&server.script("/dispatch/flake/machine", 2)), one);
    assert_eq!(site.runs(" eval "), 1);
    site.version("two");
    assert_ne!(id(&server.script(machine, 1)), one);
    assert_eq!(site.runs(" eval "), 2);
    let script = server.script("/dispatch/flake/other", 1);
    assert!(script.contains("does not provide attribute"), "{script}");
}

#[test]
fn the_latest_build_of_a_job_of_hydra() {
    let Some(site) = site() else { return };
    let server = with_configurations(&site);
    let one = id(&server.script(MACHINE, 1));
    let system = site.system(&site.builds()[0]);
    drop(server);

    let latest = serde_json::json!({ "id": 7, "buildoutputs": { "out": { "path": system } } });
    let web = Web::of(site.folder.join("profiles"));
    let web = web
        .text(
            "job/nixos/trunk/machine.x86_64-linux/latest",
            latest.to_string(),
        )
        .serve();
    let url = web.local_url("");
    let mut command = site.command();
    command.arg("--hydra").arg(&url);
    let server = Server::start(command);
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let job = |name: &str| format!("/dispatch/hydra/{host}/nixos/trunk/{name}");
    assert_eq!(id(&server.script(&job("machine.x86_64-linux"), 1)), one);
    let script = server.script(&job("other"), 1);
    assert!(
        script.contains("curl failed: ") && script.contains("404"),
        "{script}"
    );
    let script = server.script("/dispatch/hydra/192.0.2.1/nixos/trunk/machine", 1);
    assert!(script.contains("none of the Hydra servers"), "{script}");
}

#[test]
fn a_full_disk_leaves_nothing_and_is_said() {
    let Some(site) = site() else { return };
    fs::create_dir(site.cache()).expect("a folder");
    // There is room for the system's link and not for its kernel.
    let script = format!(
        "mount -t tmpfs -o size=4m,mode=755 none {} && exec \"$0\" \"$@\"",
        site.cache().display()
    );
    let Some(mut command) = with_mounts(&script, storeboot_tests::command::storeboot()) else {
        return;
    };
    site.prepare(&mut command);
    command
        .arg("--configurations")
        .arg(site.folder.join("configurations"));
    let server = Server::start(command);
    let script = server.script(MACHINE, 1);
    assert!(script.contains("No space left on device"), "{script}");
    let root = format!("/proc/{}/root", server.pid());
    let cache = Path::new(&root).join(site.cache().strip_prefix("/").expect("absolute"));
    for folder in ["builds", "roots", "given"] {
        assert_eq!(names(&cache.join(folder)), [""; 0], "{folder}");
    }
}
