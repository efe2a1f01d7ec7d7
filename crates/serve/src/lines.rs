//! A line for each thing that a machine does: for people, or as JSON for programs.
//!
//! JSON has a line for every [`Sighting`]. People get a line where something is new: not each try of a machine that
//! waits, not each part of a file that a machine fetches in parts, and every ten seconds how far the machines are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use storeboot::Plain;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use crate::size::{percent, rate, size};
use crate::watch::millis;
use crate::{Desk, Progress, Sighting, Step};

/// How often people are told how far the machines are that load.
const EVERY: Duration = Duration::from_secs(10);
/// As many machines are told of one by one, and more of them in one line.
const ONE_BY_ONE: usize = 8;
/// As many machines are remembered by what was last said of them. All is forgotten at once when there are more: then
/// something is said twice.
const MAX_MACHINES: usize = 10_000;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a machine does.
    Step,
    /// What the server does.
    Notice,
    /// What goes wrong, and somebody has to mend.
    Fault,
}

/// For whom the lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Plain,
    /// For programs: each line is a JSON object.
    Json,
}

impl Style {
    /// The line of something that is not of one machine, such as that the rules have an error.
    pub fn notice(self, text: &str) -> String {
        match self {
            Self::Plain => plain(text),
            Self::Json => {
                json!({ "time": millis(SystemTime::now()), "step": "notice", "text": text })
                    .to_string()
            }
        }
    }
}

/// Says what machines do from this call on, until the future is dropped. `say` gets each line without its end; it has no
/// control characters.
pub fn follow(
    desk: Arc<Desk>,
    style: Style,
    say: impl FnMut(String) + Send,
) -> impl Future<Output = ()> + Send {
    let news = desk.watch.listen();
    listen(desk, news, style, say)
}

async fn listen(
    desk: Arc<Desk>,
    mut news: Receiver<Sighting>,
    style: Style,
    mut say: impl FnMut(String) + Send,
) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lines = Lines::default();
    loop {
        tokio::select! {
            sighting = news.recv() => match (sighting, style) {
                (Ok(sighting), Style::Json) => {
                    // Text and numbers are always JSON.
                    say(serde_json::to_string(&sighting).unwrap_or_default());
                }
                (Ok(sighting), Style::Plain) => {
                    let progress = desk.watch.of(&sighting.machine);
                    if let Some(line) = lines.of(&sighting, progress.as_ref()) {
                        say(line);
                    }
                }
                (Err(RecvError::Lagged(count)), _) => {
                    say(style.notice(&format!("{count} lines are left out: they came too fast")));
                }
                (Err(RecvError::Closed), _) => return,
            },
            _ = clock.tick(), if style == Style::Plain => {
                for line in loading(&desk.watch.all()) {
                    say(line);
                }
            }
        }
    }
}

/// What was said of each machine.
#[derive(Debug, Default)]
struct Lines {
    said: HashMap<String, Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Step>,
    /// When the first byte of each file went that is not whole yet.
    began: HashMap<String, u64>,
}

impl Lines {
    /// The line for what a machine did. `None`: nothing new.
    fn of(&mut self, sighting: &Sighting, progress: Option<&Progress>) -> Option<String> {
        if self.said.len() >= MAX_MACHINES && !self.said.contains_key(&sighting.machine) {
            self.said.clear();
        }
        let said = self.said.entry(sighting.machine.clone()).or_default();
        if said.last.as_ref() == Some(&sighting.step) {
            return None;
        }
        let sent = |file: &str| {
            progress
                .and_then(|progress| progress.files.get(file))
                .copied()
        };
        let words = match &sighting.step {
            Step::Script { .. } => {
                said.began.clear();
                sighting.step.to_string()
            }
            Step::Loading { file } => {
                // The next part of a file that it fetches in parts.
                if said.began.contains_key(file) {
                    return None;
                }
                said.began.insert(file.clone(), sighting.time);
                sighting.step.to_string()
            }
            Step::Loaded { file } => match sent(file) {
                Some((sent, all)) if sent < all => return None,
                Some((_, all)) => {
                    let began = said.began.remove(file).unwrap_or(sighting.time);
                    let millis = sighting.time.saturating_sub(began);
                    format!("{} ({}{})", sighting.step, size(all), took(all, millis))
                }
                None => sighting.step.to_string(),
            },
            Step::Broken { file, .. } => match sent(file) {
                Some((sent, all)) => {
                    format!(
                        "{} (at {} % of {})",
                        sighting.step,
                        percent(sent, all),
                        size(all)
                    )
                }
                None => sighting.step.to_string(),
            },
            Step::Told { .. } | Step::Waiting { .. } | Step::Refused { .. } => {
                sighting.step.to_string()
            }
        };
        said.last = Some(sighting.step.clone());
        Some(plain(&format!(
            "{} {words}",
            name(&sighting.machine, progress)
        )))
    }
}

/// A machine's name, and what else is known of it.
fn name(machine: &str, progress: Option<&Progress>) -> String {
    let more: Vec<&str> = progress
        .into_iter()
        .flat_map(|progress| [progress.host_name.as_deref(), progress.platform.as_deref()])
        .flatten()
        .collect();
    match more.is_empty() {
        true => format!("{machine}:"),
        false => format!("{machine} ({}):", more.join(", ")),
    }
}

/// How long so many bytes took, and how fast they were. Nothing for less than a tenth of a second.
fn took(bytes: u64, millis: u64) -> String {
    match millis {
        0..100 => String::new(),
        _ => {
            let bytes_a_second = u64::try_from(u128::from(bytes) * 1000 / u128::from(millis));
            let rate = rate(bytes_a_second.unwrap_or(u64::MAX));
            format!(" in {}.{} s, {rate}", millis / 1000, millis % 1000 / 100)
        }
    }
}

/// How far the machines are that load something.
fn loading(machines: &[Progress]) -> Vec<String> {
    let loading: Vec<&Progress> = machines
        .iter()
        // One that only began has no rate yet.
        .filter(|machine| machine.is_loading() && machine.rate > 0)
        .collect();
    let sum = |machine: &Progress| {
        machine
            .files
            .values()
            .fold((0u64, 0u64), |sum, (sent, all)| {
                (sum.0.saturating_add(*sent), sum.1.saturating_add(*all))
            })
    };
    if loading.len() <= ONE_BY_ONE {
        let line = |machine: &&Progress| {
            let (sent, all) = sum(machine);
            let name = name(&machine.machine, Some(machine));
            let percent = percent(sent, all);
            plain(&format!(
                "{name} {percent} % of {} at {}",
                size(all),
                rate(machine.rate)
            ))
        };
        return loading.iter().map(line).collect();
    }
    let (mut sent, mut all, mut bytes) = (0u64, 0u64, 0u64);
    for machine in &loading {
        let of_it = sum(machine);
        sent = sent.saturating_add(of_it.0);
        all = all.saturating_add(of_it.1);
        bytes = bytes.saturating_add(machine.rate);
    }
    let count = loading.len();
    let percent = percent(sent, all);
    vec![format!(
        "{count} machines: {percent} % of {} at {}",
        size(all),
        rate(bytes)
    )]
}

/// All machines in one sentence.
pub(crate) fn summary(machines: &[Progress]) -> String {
    let loading = machines.iter().filter(|machine| machine.is_loading());
    let bytes = machines
        .iter()
        .fold(0u64, |sum, machine| sum.saturating_add(machine.rate));
    let known = match machines.len() {
        1 => "1 machine".into(),
        count => format!("{count} machines"),
    };
    match loading.count() {
        0 => format!("{known}, none is loading"),
        1 => format!("{known}, 1 is loading at {}", rate(bytes)),
        count => format!("{known}, {count} are loading at {}", rate(bytes)),
    }
}

/// The text on one line: machines and file names may have what they like.
fn plain(text: &str) -> String {
    Plain(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{Loaders, Machine, Offers, Rules, Sources, Watch};

    fn sighting(time: u64, step: Step) -> Sighting {
        Sighting {
            machine: "52:54:00:12:34:56".into(),
            time,
            step,
        }
    }

    fn progress(files: &[(&str, u64, u64)]) -> Progress {
        let watch = Watch::default();
        let address = "192.0.2.7".parse().unwrap();
        let machine = Machine {
            mac: "52:54:00:12:34:56".parse().ok(),
            address: Some(address),
            ..Machine::default()
        };
        watch.named(&machine, "web-1");
        watch.saw(&machine, Step::Told { what: "a".into() });
        for (file, sent, all) in files {
            watch.sent(address, file, *sent, *all);
        }
        watch.of("52:54:00:12:34:56").unwrap()
    }

    #[test]
    fn what_is_tried_again_is_said_once() {
        let mut lines = Lines::default();
        let waiting = |time| sighting(time, Step::Waiting { what: "web".into() });
        let said = lines.of(&waiting(0), None).unwrap();
        assert_eq!(said, "52:54:00:12:34:56: waits while web is being built");
        assert_eq!(lines.of(&waiting(2000), None), None);
        let script = || {
            sighting(
                3000,
                Step::Script {
                    directory: "web".into(),
                },
            )
        };
        assert!(lines.of(&script(), None).is_some());
        assert!(lines.of(&waiting(9000), None).is_some());
    }

    #[test]
    fn a_file_in_parts_is_one_file() {
        let mut lines = Lines::default();
        let file = || "initrd".to_owned();
        let mut of = |time, step, sent| {
            let progress = progress(&[("initrd", sent, 40 << 20)]);
            lines.of(&sighting(time, step), Some(&progress))
        };
        let said = of(0, Step::Loading { file: file() }, 1).unwrap();
        assert_eq!(said, "52:54:00:12:34:56 (web-1): loads initrd");
        assert_eq!(of(1000, Step::Loaded { file: file() }, 20 << 20), None);
        assert_eq!(of(1000, Step::Loading { file: file() }, 20 << 20), None);
        let said = of(4000, Step::Loaded { file: file() }, 40 << 20).unwrap();
        assert_eq!(
            said,
            "52:54:00:12:34:56 (web-1): has initrd (40 MiB in 4.0 s, 10 MiB/s)"
        );
    }

    #[test]
    fn a_file_that_breaks_off_says_how_far_it_was() {
        let step = Step::Broken {
            file: "initrd".into(),
            reason: "the machine\nwent".into(),
        };
        let said = Lines::default().of(&sighting(0, step), Some(&progress(&[("initrd", 1, 4)])));
        assert_eq!(
            said.unwrap(),
            "52:54:00:12:34:56 (web-1): did not get all of initrd: the machine\\nwent (at 25 % of 4 B)"
        );
    }

    #[test]
    fn many_machines_are_one_line() {
        let mut machine = progress(&[("initrd", 10 << 20, 40 << 20)]);
        machine.rate = 5 << 20;
        assert_eq!(
            loading(&[machine.clone()]),
            ["52:54:00:12:34:56 (web-1): 25 % of 40 MiB at 5.0 MiB/s"]
        );
        assert_eq!(
            loading(&vec![machine; 100]),
            ["100 machines: 25 % of 3.9 GiB at 500 MiB/s"]
        );
        assert!(loading(&[progress(&[("initrd", 4, 4)])]).is_empty());
    }

    #[tokio::test]
    async fn json_has_a_line_for_every_step() {
        let offers = Arc::new(Offers::default());
        let sources = Sources::new(Arc::clone(&offers));
        let desk = Desk::new(offers, sources, Loaders::default(), Rules::default());
        let desk = Arc::new(desk);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let following = tokio::spawn(follow(Arc::clone(&desk), Style::Json, move |line| {
            heard.lock().unwrap().push(line);
        }));
        let machine = Machine {
            address: "192.0.2.7".parse().ok(),
            ..Machine::default()
        };
        for _ in 0..2 {
            let file = "a\n".to_owned();
            desk.watch.saw(&machine, Step::Loading { file });
        }
        while said.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        following.abort();
        for line in said.lock().unwrap().iter() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["machine"], "192.0.2.7");
            assert_eq!(
                (&line["step"], &line["file"]),
                (&json!("loading"), &json!("a\n"))
            );
        }
    }

    #[test]
    fn notices_are_one_line() {
        assert_eq!(Style::Plain.notice("a\nb"), "a\\nb");
        let json: serde_json::Value = serde_json::from_str(&Style::Json.notice("a\nb")).unwrap();
        assert_eq!(
            (&json["step"], &json["text"]),
            (&json!("notice"), &json!("a\nb"))
        );
    }
}
