//! Runs Nix, and other programs, and says in a sentence why they failed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// So many bytes of what a program prints are read; more is an error.
const MAX_PRINTED: usize = 1 << 20;
/// So many bytes of what it says are kept, the first and the last.
const MAX_SAID: usize = 32 << 10;
/// So many characters of it are told.
const MAX_REASON: usize = 400;

/// Nix's commands.
#[derive(Clone, Debug)]
pub(super) struct Nix {
    /// Where they are, if not on `PATH`.
    pub(super) programs: Option<PathBuf>,
    /// For what they keep between runs, where the server has no home.
    pub(super) home: PathBuf,
    /// So long one of them may take.
    pub(super) limit: Duration,
}

impl Nix {
    /// One of Nix's commands.
    pub(super) fn command(&self, name: &str) -> Command {
        let program = match &self.programs {
            Some(folder) => folder.join(name),
            None => name.into(),
        };
        let mut command = Command::new(program);
        if std::env::var_os("HOME").is_none() {
            command.env("HOME", &self.home);
        }
        command
    }

    /// The command `nix` itself.
    pub(super) fn new_command(&self) -> Command {
        let mut command = self.command("nix");
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command
    }

    /// Runs one of Nix's commands and returns what it printed. Ends it, and so what it builds, when it takes too long.
    pub(super) async fn run(&self, command: &mut Command) -> Result<String, String> {
        let program = name(command);
        match timeout(self.limit, run(command)).await {
            Ok(result) => result,
            Err(_) => Err(format!(
                "{program} took longer than {} seconds, and was ended (--build-limit)",
                self.limit.as_secs()
            )),
        }
    }

    /// Has a derivation built or a store path fetched, and puts a link to it that keeps it from being collected.
    pub(super) async fn realise(&self, path: &str, link: &Path) -> Result<PathBuf, String> {
        let mut command = self.command("nix-store");
        command.args(["--realise", path, "--add-root"]);
        self.run(command.arg(link).arg("--indirect")).await?;
        target(link)
    }
}

/// Where a link leads that Nix has made.
pub(super) fn target(link: &Path) -> Result<PathBuf, String> {
    std::fs::read_link(link)
        .map_err(|error| format!("Nix left no link {}: {error}", link.display()))
}

/// The name of a program, without its folder.
fn name(command: &Command) -> String {
    let program = Path::new(command.as_std().get_program());
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Runs a program and returns what it printed. It ends when the caller is no longer interested.
pub(super) async fn run(command: &mut Command) -> Result<String, String> {
    let program = name(command);
    let failed = |error: std::io::Error| format!("cannot run {program}: {error}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (printed, said) = (child.stdout.take(), child.stderr.take());
    // Both at the same time: a program waits while one of them is full.
    let (printed, said) = tokio::join!(read(printed, MAX_PRINTED), read(said, MAX_SAID));
    let (printed, is_whole) = printed.map_err(failed)?;
    let (said, _) = said.map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        return Err(match reason(&said) {
            Some(reason) => format!("{program} failed: {reason}"),
            None => format!("{program} failed: {status}"),
        });
    }
    match is_whole {
        true => Ok(printed.trim_end().into()),
        false => Err(format!("{program} printed more than {MAX_PRINTED} bytes")),
    }
}

/// Reads all, and keeps the first and the last bytes of it. Returns whether it kept all.
async fn read(
    stream: Option<impl AsyncRead + Unpin>,
    most: usize,
) -> std::io::Result<(String, bool)> {
    let mut kept = Vec::new();
    let mut is_whole = true;
    if let Some(mut stream) = stream {
        loop {
            let count = stream.read_buf(&mut kept).await?;
            if count == 0 {
                break;
            }
            if kept.len() > 2 * most {
                is_whole = false;
                kept.drain(most / 2..kept.len() - most / 2);
            }
        }
    }
    is_whole &= kept.len() <= most;
    Ok((String::from_utf8_lossy(&kept).into_owned(), is_whole))
}

/// The reason in what a program said: its first error, or else its last line.
///
/// Nix says `error:` alone before a trace, and the error again at its end; after the first error of a build there are
/// only those that follow from it.
fn reason(said: &str) -> Option<String> {
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let error = |line: &&str| {
        line.strip_prefix("error:")
            .is_some_and(|text| !text.is_empty())
    };
    let Some(first) = lines.iter().position(error) else {
        let last = lines.iter().rev().find(|line| !line.is_empty());
        return last.map(|line| line.chars().take(MAX_REASON).collect());
    };
    let text = lines.get(first..).unwrap_or_default();
    let follows = |line: &&&str| {
        !line.is_empty()
            && !line.starts_with("at /")
            && !line.starts_with("at «")
            && !line.starts_with("For full logs")
            && !line.starts_with('…')
    };
    let mut words = Vec::new();
    for (number, line) in text.iter().take_while(follows).enumerate() {
        // The next error.
        if number > 0 && line.starts_with("error:") {
            break;
        }
        let line = line.strip_prefix("error:").unwrap_or(line);
        words.extend(line.split_whitespace());
    }
    Some(words.join(" ").chars().take(MAX_REASON).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_error() {
        let evaluation = "warning: Git tree '/x' is dirty\nerror:\n       … while evaluating x\n         at /a.nix:1:2:\n\
                          \n       error: undefined variable 'y'\n       at /a.nix:3:4:\n           3| y\n";
        assert_eq!(reason(evaluation).unwrap(), "undefined variable 'y'");
        let build = "these derivations will be built:\nerror: builder for '/nix/store/a.drv' failed with exit code 1;\n\
                     \x20      last 1 log lines:\n       > no space\n       For full logs, run 'nix log'.\n\
                     error: 1 dependencies of derivation 'b' failed to build\n";
        assert_eq!(
            reason(build).unwrap(),
            "builder for '/nix/store/a.drv' failed with exit code 1; last 1 log lines: > no space"
        );
        let curl = "curl: (7) Failed to connect to h port 443\n";
        assert_eq!(reason(curl).unwrap(), curl.trim());
        assert_eq!(reason(""), None);
        assert_eq!(reason(&"a".repeat(5000)).unwrap().len(), MAX_REASON);
    }

    #[tokio::test]
    async fn what_a_program_prints_has_a_bound() {
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            async move { run(&mut command).await }
        };
        assert_eq!(run("echo a; echo b >&2").await.unwrap(), "a");
        let error = run("echo error: no >&2; echo >&2; seq 1000000 >&2; exit 3").await;
        assert_eq!(error.unwrap_err(), "sh failed: no");
        let error = run("seq 1000000").await.unwrap_err();
        assert!(error.contains("printed more than"), "{error}");
        assert_eq!(
            run("exit 3").await.unwrap_err(),
            "sh failed: exit status: 3"
        );
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended() {
        let nix = Nix {
            programs: None,
            home: "/".into(),
            limit: Duration::from_secs(1),
        };
        let folder = tempfile::tempdir().unwrap();
        let late = folder.path().join("late");
        let mut command = nix.command("sh");
        // The shell itself waits, so that it is the one that is ended.
        let script = "while test ! -e \"$0\"; do sleep 0.1; done; echo > \"$0.end\"";
        let error = nix.run(command.args(["-c", script]).arg(&late)).await;
        assert_eq!(
            error.unwrap_err(),
            "sh took longer than 1 seconds, and was ended (--build-limit)"
        );
        std::fs::write(&late, "").unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!folder.path().join("late.end").exists(), "it goes on");
    }

    #[tokio::test]
    async fn a_program_that_is_missing() {
        let nix = Nix {
            programs: Some("/nonexistent".into()),
            home: "/".into(),
            limit: Duration::from_secs(60),
        };
        let error = run(&mut nix.command("nix-build")).await.unwrap_err();
        assert!(
            error.starts_with("cannot run nix-build: No such file"),
            "{error}"
        );
    }
}
