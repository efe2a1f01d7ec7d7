//! Asks Hydra for the latest build of a job.

use std::collections::HashMap;

use serde::Deserialize;
use storeboot::closure::StoreDir;
use tokio::process::Command;

use super::nix::run;
use crate::Job;

/// What Hydra says of a build.
#[derive(Deserialize)]
struct Build {
    buildoutputs: HashMap<String, Output>,
}

#[derive(Deserialize)]
struct Output {
    path: String,
}

/// The store path that the latest build of a job made, which is not here yet.
///
/// Asks by curl, which knows the certificates and the proxies of the machine.
pub(super) async fn latest(job: &Job, servers: &[String]) -> Result<String, String> {
    let url = url(job, servers)?;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--location"])
        .args(["--proto", "=http,https", "--max-time", "60"])
        .args(["--header", "Accept: application/json", "--", &url]);
    output(&run(&mut curl).await?).map_err(|reason| format!("{url} is no build of Hydra: {reason}"))
}

/// Whether a URL is that of a server, and of nothing on it: jobs name the host alone.
pub(super) fn is_server(url: &str) -> bool {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    rest.map(|rest| rest.trim_end_matches('/'))
        .is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@']))
}

/// Where to ask for the latest build of a job.
pub(super) fn url(job: &Job, servers: &[String]) -> Result<String, String> {
    let host = |url: &str| {
        url.split_once("://")
            .map(|(_, rest)| rest.trim_end_matches('/') == job.host)
    };
    let server = servers
        .iter()
        .find(|url| host(url).unwrap_or(false))
        .ok_or_else(|| {
            format!(
                "{} is none of the Hydra servers that may be asked",
                job.host
            )
        })?;
    let Job {
        project,
        jobset,
        job,
        ..
    } = job;
    let server = server.trim_end_matches('/');
    Ok(format!("{server}/job/{project}/{jobset}/{job}/latest"))
}

fn output(text: &str) -> Result<String, String> {
    let build: Build = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let output = build.buildoutputs.get("out").ok_or("it has no output")?;
    // Nix's command must not take it for an option.
    let store = StoreDir::default();
    match store.parse_path(output.path.as_bytes()) {
        Ok(path) => Ok(store.render_path(&path)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_are_named_are_asked() {
        let job: Job = "hydra.example.org/nixos/trunk/node.x86_64-linux"
            .parse()
            .unwrap();
        let servers = ["https://hydra.example.org/".to_owned()];
        assert_eq!(
            url(&job, &servers).unwrap(),
            "https://hydra.example.org/job/nixos/trunk/node.x86_64-linux/latest"
        );
        let error = url(&job, &["https://example.org".into()]).unwrap_err();
        assert!(error.contains("none of the Hydra servers"), "{error}");
    }

    #[test]
    fn only_a_store_path_is_an_output() {
        let path = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos";
        let of = |path: &str| {
            output(&format!(
                r#"{{"buildoutputs":{{"out":{{"path":"{path}"}}}},"id":7}}"#
            ))
        };
        assert_eq!(of(path).unwrap(), path);
        for wrong in [
            "--help",
            "/etc/passwd",
            "/nix/store/../../etc",
            "/nix/store/x",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(output(r#"{"buildoutputs":{}}"#).is_err());
        assert!(output("<html>").is_err());
    }
}
