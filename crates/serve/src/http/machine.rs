//! A machine's own script.

use std::net::SocketAddr;

use axum::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use storeboot::machine_script;

use super::answer::{Content, NEVER, Source, answer};
use super::{Peer, SCRIPT, Site};
use crate::error::sentence;
use crate::{Choice, Directory, Found, Machine, Platform, Step, script};

/// Longer words of a machine about itself are none.
const MAX_WORD: usize = 128;

/// What the query and the connection say of a machine.
pub(super) fn machine(query: &[(String, String)], peer: Peer) -> Machine {
    let word = |name: &str| {
        let mut pairs = query.iter();
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        let value = value.trim();
        let is_fit = value.len() <= MAX_WORD && !value.chars().any(char::is_control);
        (is_fit && !value.is_empty()).then_some(value)
    };
    let platform = match (word("platform"), word("arch")) {
        (Some("pcbios"), _) => Some(Platform::Bios),
        (Some("efi"), Some("x86_64")) => Some(Platform::UefiX64),
        (Some("efi"), Some("arm64")) => Some(Platform::UefiArm64),
        _ => None,
    };
    Machine {
        mac: word("mac").and_then(|mac| mac.parse().ok()),
        uuid: word("uuid").map(str::to_ascii_lowercase),
        serial: word("serial").map(str::to_owned),
        platform,
        address: Some(peer.address()),
    }
}

/// Writes a machine's script, and takes down what it got.
pub(super) async fn own_script(
    site: &Site,
    method: &Method,
    headers: &HeaderMap,
    peer: Peer,
    machine: Machine,
) -> Response {
    let watch = &site.desk.watch;
    let refuse = |reason: String| {
        watch.saw(
            &machine,
            Step::Refused {
                reason: reason.clone(),
            },
        );
        text(method, headers, script::refusal(&reason))
    };
    let Some(choice) = site.desk.rules().choose(&machine) else {
        return refuse("no rule has anything for this machine".into());
    };
    let directory = match site.desk.sources.find_for(&choice.source, &machine).await {
        Found::Ready(directory) => directory,
        Found::Later { what } => {
            let later = script::later(&what);
            watch.saw(&machine, Step::Waiting { what });
            return wait(later);
        }
        Found::Failed { reason } => return refuse(reason),
    };
    if let Some(host_name) = &choice.host_name {
        watch.named(&machine, host_name);
    }
    match write(site, headers, peer, &machine, &directory, &choice) {
        Ok(script) => {
            let directory = directory.path().display().to_string();
            watch.saw(&machine, Step::Script { directory });
            text(method, headers, script)
        }
        Err(reason) => refuse(reason),
    }
}

fn write(
    site: &Site,
    headers: &HeaderMap,
    peer: Peer,
    machine: &Machine,
    directory: &Directory,
    choice: &Choice,
) -> Result<String, String> {
    let server = server(headers, peer.local);
    let archives: Vec<String> = site
        .archives
        .offer(peer.address(), machine.mac, &choice.archives)
        .map_err(|error| sentence(&error))?
        .into_iter()
        .map(|path| format!("http://{server}{path}"))
        .collect();
    script_of(&server, directory, &choice.words(), &archives)
}

/// The script that boots a directory from this server, by the name that the client calls the server.
pub(crate) fn script_of(
    server: &str,
    directory: &Directory,
    words: &str,
    archives: &[String],
) -> Result<String, String> {
    let place = format!("http://{server}/boot/{}/", directory.id());
    machine_script(directory.manifest(), &place, words, archives).map_err(|error| sentence(&error))
}

/// How the client calls the server: by its `Host` header, or by the address that it connected to.
pub(crate) fn server(headers: &HeaderMap, local: SocketAddr) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    match host {
        Some(host) if is_plain(host.as_str()) => host.to_string(),
        // Without the form that IPv4 has in IPv6, and without the name of an interface of this machine.
        _ => SocketAddr::new(local.ip().to_canonical(), local.port()).to_string(),
    }
}

/// Whether a name of a server has nothing that an iPXE script or the kernel reads as something else.
fn is_plain(host: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    host.len() <= 255 && host.chars().all(is_plain)
}

/// Answers with a script, which is for this machine and this moment only.
pub(crate) fn text(method: &Method, headers: &HeaderMap, script: String) -> Response {
    let content = Content {
        bytes: Source::Text(script.into()),
        tag: None,
        media: SCRIPT,
        cache: NEVER,
    };
    answer(method, headers, content)
}

/// iPXE waits as long as `Retry-After` says, and asks again by itself.
pub(crate) fn wait(script: String) -> Response {
    let headers = [
        (RETRY_AFTER, HeaderValue::from_static("2")),
        (CONTENT_TYPE, HeaderValue::from_static(SCRIPT)),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, script).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer {
            remote: "[::ffff:192.0.2.7]:1000".parse().unwrap(),
            local: "192.0.2.1:8080".parse().unwrap(),
        }
    }

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn what_a_machine_says_of_itself() {
        let query = query(&[
            ("mac", "52-54-00-12-34-56"),
            ("uuid", "4C4C4544-0000-1000-8000-000000000000"),
            ("serial", " S 1 "),
            ("platform", "efi"),
            ("arch", "arm64"),
        ]);
        let machine = machine(&query, peer());
        assert_eq!(machine.mac.unwrap().to_string(), "52:54:00:12:34:56");
        assert_eq!(
            machine.uuid.unwrap(),
            "4c4c4544-0000-1000-8000-000000000000"
        );
        assert_eq!(machine.serial.unwrap(), "S 1");
        assert_eq!(machine.platform, Some(Platform::UefiArm64));
        assert_eq!(machine.address, Some("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_not_known() {
        let long = "a".repeat(MAX_WORD + 1);
        let query = query(&[
            ("mac", "52-54"),
            ("uuid", ""),
            ("serial", "a\nb"),
            ("platform", &long),
            ("arch", "x86_64"),
        ]);
        let machine = machine(&query, peer());
        let nothing = Machine {
            address: machine.address,
            ..Machine::default()
        };
        assert_eq!(machine, nothing);
    }

    #[test]
    fn who_has_to_wait_is_told_for_how_long() {
        let response = wait(script::later("web"));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn the_server_is_called_as_the_client_calls_it() {
        let name = |host: &str| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
            server(&headers, peer().local)
        };
        for host in [
            "boot.example",
            "netboot_server:8080",
            "192.0.2.9",
            "192.0.2.9:81",
            "[2001:db8::1]:81",
        ] {
            assert_eq!(name(host), host);
        }
        for host in ["", "a b", "user@host", "a/b", "${ip}", "a&&shell"] {
            assert_eq!(name(host), "192.0.2.1:8080", "{host}");
        }
        for (local, name) in [
            ("192.0.2.1:8080", "192.0.2.1:8080"),
            ("[::ffff:192.0.2.1]:8080", "192.0.2.1:8080"),
            ("[fe80::1%2]:8080", "[fe80::1]:8080"),
        ] {
            assert_eq!(server(&HeaderMap::new(), local.parse().unwrap()), name);
        }
    }
}
