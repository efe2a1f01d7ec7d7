//! Work that is done once for all who ask for it at the same time.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Found;
use crate::Source;
use crate::client::client;

/// So long an asker is kept waiting for work that may be done soon.
const PATIENCE: Duration = Duration::from_millis(1500);
/// So long a result is kept for those who were told to ask again.
const KEPT: Duration = Duration::from_secs(60);
/// So many askers have a right to a result; others that were told to ask again may have to wait once more.
const MAX_ASKERS: usize = 10_000;
/// So many pieces of work are known at once. Those that are done make room for others.
const MAX_WORK: usize = 256;
/// So many pieces of work that one client's questions began are under way at once. It is told to ask again before more
/// begins, so that it keeps nobody else's work waiting behind names that it thinks out.
const MAX_OF_CLIENT: usize = 8;

/// Work that is under way, and its results for those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Flights {
    known: Mutex<HashMap<Source, Flight>>,
}

#[derive(Debug, Default)]
struct Flight {
    running: Option<Running>,
    landed: Option<Landed>,
}

#[derive(Debug)]
struct Running {
    result: watch::Receiver<Option<Found>>,
    askers: HashSet<String>,
    /// Whose question began it.
    client: Option<IpAddr>,
}

/// A result that not all who asked for it have got.
#[derive(Debug)]
struct Landed {
    found: Found,
    askers: HashSet<String>,
    at: Instant,
}

impl Flights {
    /// Has the work for a source done, unless it is under way already or this asker was told to ask again and it is
    /// done by now. Whoever asks anew gets the result of work that begins now or is under way, and never an older one.
    ///
    /// `None`: it is not done. Ask again.
    pub(super) async fn ask<W>(
        self: &Arc<Self>,
        source: &Source,
        asker: &str,
        address: Option<IpAddr>,
        work: impl FnOnce() -> W,
    ) -> Option<Found>
    where
        W: Future<Output = Found> + Send + 'static,
    {
        let mut result = {
            let mut known = self.lock();
            known.retain(|_, flight| flight.is_wanted());
            let client = address.map(client);
            let may_begin = client.is_none_or(|client| begun_by(&known, client) < MAX_OF_CLIENT);
            let has_place = known.contains_key(source) || (may_begin && make_room(&mut known));
            if !has_place {
                return None;
            }
            let flight = known.entry(source.clone()).or_default();
            if let Some(found) = flight.take(asker) {
                return Some(found);
            }
            match &flight.running {
                Some(running) => running.result.clone(),
                None if !may_begin => return None,
                None => self.begin(flight, source.clone(), client, work()),
            }
        };
        // An error: the work ended without a result.
        let landed = timeout(PATIENCE, result.wait_for(Option::is_some)).await;
        let found = landed.ok().and_then(|found| found.ok()?.clone());
        let mut known = self.lock();
        let flight = known.get_mut(source);
        match found {
            Some(found) => {
                // What this asker waited for is not kept for its next boot.
                if let Some(landed) = flight.and_then(|flight| flight.landed.as_mut()) {
                    landed.askers.remove(asker);
                }
                Some(found)
            }
            None => flight?.wait(asker),
        }
    }

    /// Forgets the results that nobody can get any more, and so lets go of what they hold.
    pub(super) fn forget(&self) {
        self.lock().retain(|_, flight| flight.is_wanted());
    }

    fn begin<W>(
        self: &Arc<Self>,
        flight: &mut Flight,
        source: Source,
        client: Option<IpAddr>,
        work: W,
    ) -> watch::Receiver<Option<Found>>
    where
        W: Future<Output = Found> + Send + 'static,
    {
        let (sender, result) = watch::channel(None);
        flight.running = Some(Running {
            result: result.clone(),
            askers: HashSet::new(),
            client,
        });
        let flights = Arc::clone(self);
        tokio::spawn(async move {
            // Work that panics is under way no more.
            let found = tokio::spawn(work).await.unwrap_or_else(|_| Found::Failed {
                reason: "the server could not finish its work".into(),
            });
            if let Some(flight) = flights.lock().get_mut(&source) {
                flight.land(found.clone());
            }
            // Nobody may be waiting just now.
            let _ = sender.send(Some(found));
        });
        result
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, Flight>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much work is under way that this client's questions began.
fn begun_by(known: &HashMap<Source, Flight>, client: IpAddr) -> usize {
    let running = known.values().filter_map(|flight| flight.running.as_ref());
    running
        .filter(|running| running.client == Some(client))
        .count()
}

/// Makes room for one more piece of work. Where there is none, a result goes: one that nobody waits for before one that
/// somebody does, then a failure before what is there, and the older one first. Anybody can ask for names that cannot be
/// built, so only work that is running keeps its place.
fn make_room(known: &mut HashMap<Source, Flight>) -> bool {
    if known.len() < MAX_WORK {
        return true;
    }
    let done = known.iter().filter(|(_, flight)| flight.running.is_none());
    let least = done.min_by_key(|(_, flight)| flight.landed.as_ref().map(Landed::need));
    let least = least.map(|(source, _)| source.clone());
    least.is_some_and(|source| known.remove(&source).is_some())
}

impl Landed {
    /// How much this result is needed, beside others.
    fn need(&self) -> (bool, bool, Instant) {
        let has_failed = matches!(self.found, Found::Failed { .. });
        (!self.askers.is_empty(), !has_failed, self.at)
    }
}

impl Flight {
    fn is_wanted(&self) -> bool {
        let landed = self.landed.as_ref();
        self.running.is_some() || landed.is_some_and(|landed| landed.at.elapsed() < KEPT)
    }

    /// The result that this asker was told to ask again for.
    fn take(&mut self, asker: &str) -> Option<Found> {
        let landed = self.landed.as_mut()?;
        let is_wanted = landed.askers.remove(asker) && landed.at.elapsed() < KEPT;
        is_wanted.then(|| landed.found.clone())
    }

    /// Takes down that an asker is told to ask again. The result, if it is there by now.
    fn wait(&mut self, asker: &str) -> Option<Found> {
        let Some(running) = &mut self.running else {
            return self.landed.as_ref().map(|landed| landed.found.clone());
        };
        if running.askers.len() < MAX_ASKERS {
            running.askers.insert(asker.into());
        }
        None
    }

    fn land(&mut self, found: Found) {
        let askers = self.running.take().map(|running| running.askers);
        let mut askers = askers.unwrap_or_default();
        // Those who have not asked again since the last result get this one.
        if let Some(landed) = self.landed.take() {
            let late = landed.askers.into_iter();
            askers.extend(late.take(MAX_ASKERS.saturating_sub(askers.len())));
        }
        self.landed = Some(Landed {
            found,
            askers,
            at: Instant::now(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn source() -> Source {
        Source::Profile("a".into())
    }

    /// Asks for work that takes a while. It results in the number of times that it was done.
    async fn ask(
        flights: &Arc<Flights>,
        asker: &str,
        count: &Arc<AtomicUsize>,
        time: Duration,
    ) -> Option<String> {
        let count = Arc::clone(count);
        let work = || async move {
            tokio::time::sleep(time).await;
            let reason = (count.fetch_add(1, Ordering::SeqCst) + 1).to_string();
            Found::Failed { reason }
        };
        let found = flights.ask(&source(), asker, None, work).await?;
        match found {
            Found::Failed { reason } => Some(reason),
            other => panic!("{other:?}"),
        }
    }

    fn number(number: usize) -> Option<String> {
        Some(number.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_the_same_time_get_one_result() {
        let (flights, count) = (Arc::default(), Arc::default());
        let quick = Duration::from_secs(1);
        let (a, b) = tokio::join!(
            ask(&flights, "a", &count, quick),
            ask(&flights, "b", &count, quick),
        );
        assert_eq!((a, b), (number(1), number(1)));
        assert_eq!(
            ask(&flights, "a", &count, quick).await,
            number(2),
            "asked anew"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_told_to_ask_again_gets_the_result_once_and_others_a_new_one() {
        let (flights, count) = (Arc::default(), Arc::default());
        let long = Duration::from_secs(5);
        for asker in ["a", "b"] {
            assert_eq!(ask(&flights, asker, &count, long).await, None);
        }
        tokio::time::sleep(long).await;
        assert_eq!(ask(&flights, "a", &count, long).await, number(1));
        assert_eq!(
            ask(&flights, "a", &count, long).await,
            None,
            "it boots again"
        );
        assert_eq!(
            ask(&flights, "b", &count, long).await,
            number(1),
            "it still waits for the first"
        );
        tokio::time::sleep(long).await;
        assert_eq!(ask(&flights, "a", &count, long).await, number(2));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_again_in_time_gets_a_new_result_at_the_next_boot() {
        let (flights, count) = (Arc::default(), Arc::default());
        let long = Duration::from_secs(2);
        assert_eq!(ask(&flights, "a", &count, long).await, None);
        assert_eq!(ask(&flights, "a", &count, long).await, number(1));
        assert_eq!(ask(&flights, "a", &count, Duration::ZERO).await, number(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_nobody_fetches_is_forgotten() {
        let (flights, count) = (Arc::default(), Arc::default());
        let long = Duration::from_secs(5);
        assert_eq!(ask(&flights, "a", &count, long).await, None);
        tokio::time::sleep(KEPT + long).await;
        assert_eq!(ask(&flights, "a", &count, Duration::ZERO).await, number(2));
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let flights = Arc::new(Flights::default());
        let work = || async { panic!("a test") };
        let found = flights.ask(&source(), "a", None, work).await;
        assert!(matches!(found, Some(Found::Failed { .. })), "{found:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_failed_takes_no_place_from_new_work() {
        let (flights, count) = (Arc::default(), Arc::default());
        let long = Duration::from_secs(5);
        assert_eq!(ask(&flights, "a", &count, long).await, None);
        tokio::time::sleep(long).await;
        // Each is a name that somebody has thought out, and of which nobody waits for the result.
        for number in 0..2 * MAX_WORK {
            let source = Source::Profile(format!("none-{number}"));
            let failed = || async {
                Found::Failed {
                    reason: "there is none".into(),
                }
            };
            let found = flights.ask(&source, "b", None, failed).await;
            assert!(found.is_some(), "{number}");
        }
        assert_eq!(flights.lock().len(), MAX_WORK);
        assert_eq!(
            ask(&flights, "a", &count, long).await,
            number(1),
            "what somebody waits for stays"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_result_that_is_needed_least_makes_room() {
        let profile = |name: &str| Source::Profile(name.into());
        let running = || {
            let askers = HashSet::new();
            let result = watch::channel(None).1;
            Flight {
                running: Some(Running {
                    result,
                    askers,
                    client: None,
                }),
                landed: None,
            }
        };
        let failed = || Found::Failed { reason: "".into() };
        let other = || Found::Later { what: "".into() };
        let mut known = HashMap::new();
        for (name, asker, found) in [
            ("wanted", Some("a"), other()),
            ("wanted failure", Some("a"), failed()),
            ("old", None, other()),
            ("new", None, other()),
            ("failure", None, failed()),
        ] {
            let askers = asker.into_iter().map(String::from).collect();
            let at = Instant::now();
            let flight = Flight {
                running: None,
                landed: Some(Landed { found, askers, at }),
            };
            known.insert(profile(name), flight);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for number in known.len()..MAX_WORK {
            known.insert(profile(&number.to_string()), running());
        }
        for name in ["failure", "old", "new", "wanted failure", "wanted"] {
            assert!(make_room(&mut known));
            assert_eq!(known.len(), MAX_WORK - 1);
            assert!(!known.contains_key(&profile(name)), "{name}");
            known.insert(profile(&format!("for {name}")), running());
        }
        assert!(!make_room(&mut known), "all of it is running");
    }

    #[tokio::test(start_paused = true)]
    async fn the_amount_of_work_has_a_bound() {
        let flights = Arc::new(Flights::default());
        for number in 0..MAX_WORK + 1 {
            let source = Source::Profile(number.to_string());
            assert!(
                flights
                    .ask(&source, "a", None, std::future::pending)
                    .await
                    .is_none()
            );
        }
        assert_eq!(flights.lock().len(), MAX_WORK);
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_leaves_room_for_the_work_of_others() {
        let flights = Arc::new(Flights::default());
        let ask = async |name: &str, address: &str| {
            let source = Source::Profile(name.into());
            let address = Some(address.parse().unwrap());
            let found = flights.ask(&source, "a", address, std::future::pending);
            assert!(found.await.is_none());
            flights.lock().len()
        };
        for number in 0..2 * MAX_OF_CLIENT {
            // A machine has many addresses of IPv6, and may say that it is another one each time.
            let begun = ask(&number.to_string(), &format!("2001:db8::{number:x}")).await;
            assert_eq!(begun, MAX_OF_CLIENT.min(number + 1));
        }
        assert_eq!(ask("0", "2001:db8::1").await, MAX_OF_CLIENT, "waits for it");
        assert_eq!(ask("other", "192.0.2.1").await, MAX_OF_CLIENT + 1);
        assert_eq!(ask("0", "192.0.2.1").await, MAX_OF_CLIENT + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_with_much_work_under_way_still_gets_results() {
        let flights = Arc::new(Flights::default());
        let address = Some("192.0.2.1".parse().unwrap());
        let long = Duration::from_secs(5);
        let failed = |time| async move {
            tokio::time::sleep(time).await;
            Found::Failed { reason: "".into() }
        };
        let work = || failed(long);
        let source = Source::Profile("first".into());
        assert!(flights.ask(&source, "a", address, work).await.is_none());
        for number in 1..MAX_OF_CLIENT {
            let source = Source::Profile(number.to_string());
            let work = || failed(long * 10);
            assert!(flights.ask(&source, "a", address, work).await.is_none());
        }
        tokio::time::sleep(long).await;
        assert!(flights.ask(&source, "a", address, work).await.is_some());
        let next = Source::Profile("next".into());
        let work = || failed(Duration::ZERO);
        assert!(flights.ask(&next, "a", address, work).await.is_some());
    }
}
