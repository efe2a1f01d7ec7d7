//! URLs that name a system, as nix-netboot-serve has them:
//!
//! - `/dispatch/configuration/NAME`
//! - `/dispatch/profile/NAME`
//! - `/dispatch/hydra/HOST/PROJECT/JOBSET/JOB`
//! - `/dispatch/flake/NAME`, which is ours
//!
//! Each is the iPXE script that boots the system. `cmdline_prefix_args` and `cmdline_suffix_args` in the query are added
//! to the kernel's command line, both at its end. The rules have no say.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::http::Peer;
use crate::http::machine::{script_of, server, text, wait};
use crate::{Desk, Directory, Found, Job, Machine, Source, Step, script};

/// What is added to the command line.
#[derive(Debug, Default, Deserialize)]
struct Words {
    #[serde(default)]
    cmdline_prefix_args: String,
    #[serde(default)]
    cmdline_suffix_args: String,
}

impl Words {
    fn all(&self) -> String {
        let words = [&self.cmdline_prefix_args, &self.cmdline_suffix_args];
        let words: Vec<&str> = words.iter().map(|words| words.trim()).collect();
        words.join(" ").trim().into()
    }
}

/// Answers for these URLs. Each request has a [`Peer`] among its extensions.
pub fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/dispatch/{kind}/{name}", get(one))
        .route(
            "/dispatch/hydra/{host}/{project}/{jobset}/{job}",
            get(hydra),
        )
        .with_state(desk)
}

/// A request, without what it asks for.
type Parts = (Extension<Peer>, Query<Words>, Uri, Method, HeaderMap);

struct Asked {
    peer: Peer,
    words: Words,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
}

impl From<Parts> for Asked {
    fn from((Extension(peer), Query(words), uri, method, headers): Parts) -> Self {
        Self {
            peer,
            words,
            uri,
            method,
            headers,
        }
    }
}

async fn one(
    State(desk): State<Arc<Desk>>,
    Path((kind, name)): Path<(String, String)>,
    parts: Parts,
) -> Response {
    let source = match kind.as_str() {
        "configuration" => Source::configuration(&name),
        "profile" => Source::profile(&name),
        "flake" => Source::flake(&name),
        _ => Err("there is nothing here".into()),
    };
    Asked::from(parts).answer(&desk, source).await
}

async fn hydra(
    State(desk): State<Arc<Desk>>,
    Path((host, project, jobset, job)): Path<(String, String, String, String)>,
    parts: Parts,
) -> Response {
    let job = format!("{host}/{project}/{jobset}/{job}").parse::<Job>();
    Asked::from(parts)
        .answer(&desk, job.map(Source::Hydra))
        .await
}

impl Asked {
    async fn answer(self, desk: &Desk, source: Result<Source, String>) -> Response {
        let source = match source {
            Ok(source) => source,
            Err(reason) => return (StatusCode::NOT_FOUND, reason + "\n").into_response(),
        };
        let machine = Machine {
            address: Some(self.peer.address()),
            ..Machine::default()
        };
        let reason = match desk.sources.find_for(&source, &machine).await {
            Found::Later { what } => {
                let later = script::later(&what);
                desk.watch.saw(&machine, Step::Waiting { what });
                return wait(later);
            }
            Found::Ready(directory) => match self.script(&directory) {
                Ok(script) => {
                    let directory = directory.path().display().to_string();
                    desk.watch.saw(&machine, Step::Script { directory });
                    return text(&self.method, &self.headers, script);
                }
                Err(reason) => reason,
            },
            Found::Failed { reason } => reason,
        };
        let path = self.uri.path_and_query();
        let path = path.map_or(self.uri.path(), |path| path.as_str());
        let again = script::again(&reason, path);
        desk.watch.saw(&machine, Step::Refused { reason });
        text(&self.method, &self.headers, again)
    }

    fn script(&self, directory: &Directory) -> Result<String, String> {
        let server = server(&self.headers, self.peer.local);
        script_of(&server, directory, &self.words.all(), &[])
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower_service::Service;

    use super::*;
    use crate::{Loaders, Offers, Rules, Sources};

    async fn ask(path: &str) -> (StatusCode, String) {
        let offers = Arc::<Offers>::default();
        let sources = Sources::new(Arc::clone(&offers));
        let desk = Desk::new(offers, sources, Loaders::default(), Rules::default());
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer {
            remote: "192.0.2.7:1000".parse().unwrap(),
            local: "192.0.2.1:80".parse().unwrap(),
        });
        let mut router: Router = router(Arc::new(desk));
        let response = router.call(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn who_cannot_have_a_system_is_told_why_and_asks_again() {
        for path in [
            "/dispatch/configuration/m1.small?cmdline_suffix_args=a",
            "/dispatch/profile/x",
            "/dispatch/flake/x",
            "/dispatch/hydra/h:3000/p/j/x.y",
        ] {
            let (status, script) = ask(path).await;
            assert_eq!(status, StatusCode::OK);
            assert!(script.contains("the server builds no systems"), "{script}");
            assert!(
                script.ends_with(&format!("\nchain --replace {path}\n")),
                "{script}"
            );
        }
    }

    #[tokio::test]
    async fn names_that_are_none_are_not_found() {
        for path in [
            "/dispatch/configuration/..",
            "/dispatch/configuration/a%2Fb",
            "/dispatch/flake/a%22b",
            "/dispatch/profile/-a",
            "/dispatch/other/a",
            "/dispatch/hydra/h%20x/p/j/x",
            "/dispatch/hydra/h/p/j",
        ] {
            assert_eq!(ask(path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn both_kinds_of_words_are_added() {
        let words = Words {
            cmdline_prefix_args: " a b".into(),
            cmdline_suffix_args: "c".into(),
        };
        assert_eq!(words.all(), "a b c");
        assert_eq!(Words::default().all(), "");
    }
}
