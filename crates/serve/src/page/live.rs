//! What changed on the page, as server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::html;
use crate::watch::millis;
use crate::{Desk, Progress, lines};

/// How often a page hears of what changed.
const EVERY: Duration = Duration::from_secs(1);
/// A page on which nothing changes gets a comment after this time, so that a connection that broke is noticed.
const ALIVE: Duration = Duration::from_secs(15);

/// An event: rows of the table that are new, and machines that are no longer remembered.
#[derive(Debug, Serialize)]
struct News {
    /// The rows are all there are.
    all: bool,
    now: u64,
    summary: String,
    rows: Vec<String>,
    gone: Vec<String>,
}

/// What a page shows: a hash of each machine's row.
#[derive(Debug, Default)]
struct Shown {
    machines: Option<HashMap<String, u64>>,
    summary: String,
}

impl Shown {
    /// What a page has to change to show these machines. `None`: nothing.
    fn news(&mut self, machines: &[Progress], now: u64) -> Option<News> {
        let all = self.machines.is_none();
        let known = self.machines.get_or_insert_default();
        let mut next = HashMap::with_capacity(machines.len());
        let mut rows = Vec::new();
        for machine in machines {
            let hash = hash(machine);
            if known.remove(&machine.machine) != Some(hash) {
                rows.push(html::row(machine, now));
            }
            next.insert(machine.machine.clone(), hash);
        }
        let mut gone: Vec<String> = known.drain().map(|(name, _)| name).collect();
        gone.sort();
        *known = next;
        let summary = lines::summary(machines);
        let same = summary == self.summary;
        self.summary.clone_from(&summary);
        match !all && same && rows.is_empty() && gone.is_empty() {
            true => None,
            false => Some(News {
                all,
                now,
                summary,
                rows,
                gone,
            }),
        }
    }
}

fn hash(machine: &Progress) -> u64 {
    let mut hasher = DefaultHasher::new();
    machine.hash(&mut hasher);
    hasher.finish()
}

struct Listener {
    desk: Arc<Desk>,
    clock: Interval,
    shown: Shown,
    /// Given back when the page goes.
    _seat: OwnedSemaphorePermit,
}

/// All machines at once, then those that changed, once a second.
pub fn events(desk: Arc<Desk>, seat: OwnedSemaphorePermit) -> Response {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener {
        desk,
        clock,
        shown: Shown::default(),
        _seat: seat,
    };
    let events = stream::unfold(listener, |mut listener| async move {
        let mut quiet = Duration::ZERO;
        loop {
            listener.clock.tick().await;
            quiet += EVERY;
            let machines = listener.desk.watch.all();
            let now = millis(std::time::SystemTime::now());
            let event = match listener.shown.news(&machines, now) {
                // Text and numbers are always JSON.
                Some(news) => {
                    Event::default().data(serde_json::to_string(&news).unwrap_or_default())
                }
                // A comment tells whether the browser is still there.
                None if quiet >= ALIVE => Event::default().comment(""),
                None => continue,
            };
            return Some((Ok::<_, Infallible>(event), listener));
        }
    });
    Sse::new(events).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Machine, Step, Watch};

    #[test]
    fn only_what_changed_is_sent() {
        let watch = Watch::default();
        let at = |address: &str| Machine {
            address: Some(address.parse().unwrap()),
            ..Machine::default()
        };
        watch.saw(&at("192.0.2.1"), Step::Told { what: "a".into() });
        watch.saw(&at("192.0.2.2"), Step::Told { what: "a".into() });
        let mut shown = Shown::default();
        let first = shown.news(&watch.all(), 0).unwrap();
        assert_eq!((first.all, first.rows.len()), (true, 2));
        assert!(shown.news(&watch.all(), 0).is_none());
        watch.saw(&at("192.0.2.2"), Step::Told { what: "b".into() });
        let next = shown.news(&watch.all(), 0).unwrap();
        assert_eq!((next.all, next.rows.len(), next.gone.len()), (false, 1, 0));
        let gone = shown.news(&watch.all()[..1], 0).unwrap();
        assert_eq!(
            (gone.rows.len(), gone.gone),
            (0, vec!["192.0.2.2".to_owned()])
        );
    }

    #[test]
    fn a_page_without_machines_hears_that_there_are_none() {
        let mut shown = Shown::default();
        let first = shown.news(&[], 0).unwrap();
        assert_eq!(first.summary, "0 machines, none is loading");
        assert!(shown.news(&[], 1000).is_none());
    }
}
