//! How far each machine is.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::Machine;

/// So many machines are remembered; the one that was heard of last goes when another comes.
const MAX_MACHINES: usize = 10_000;
/// So many sightings wait for a listener that is slow.
const BACKLOG: usize = 1024;
/// A machine that got nothing for this long has no rate.
const QUIET: Duration = Duration::from_secs(3);

/// What a machine did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
#[non_exhaustive]
pub enum Step {
    /// Its firmware asked how to boot, and was told of this file or URL.
    Told {
        /// The name of the loader or the URL.
        what: String,
    },
    /// It got its script.
    Script {
        /// The netboot directory that it is to boot.
        directory: String,
    },
    /// It has to wait: what it gets is being built.
    Waiting {
        /// What is being built.
        what: String,
    },
    /// It gets nothing.
    Refused {
        /// Why.
        reason: String,
    },
    /// It loads a file.
    Loading {
        /// The file's name.
        file: String,
    },
    /// It has a file.
    Loaded {
        /// The file's name.
        file: String,
    },
    /// A file did not go through.
    Broken {
        /// The file's name.
        file: String,
        /// Why.
        reason: String,
    },
}

impl Step {
    /// The names of all steps, as in JSON.
    pub const NAMES: [&str; 7] = [
        "told", "script", "waiting", "refused", "loading", "loaded", "broken",
    ];

    /// Its place in [`Self::NAMES`].
    fn place(&self) -> usize {
        match self {
            Self::Told { .. } => 0,
            Self::Script { .. } => 1,
            Self::Waiting { .. } => 2,
            Self::Refused { .. } => 3,
            Self::Loading { .. } => 4,
            Self::Loaded { .. } => 5,
            Self::Broken { .. } => 6,
        }
    }

    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.place()]
    }
}

/// In a few words, as the end of a sentence that the machine's name begins.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told { what } => write!(f, "asks how to boot and is told {what}"),
            Self::Script { directory } => write!(f, "boots {directory}"),
            Self::Waiting { what } => write!(f, "waits while {what} is being built"),
            Self::Refused { reason } => write!(f, "gets nothing: {reason}"),
            Self::Loading { file } => write!(f, "loads {file}"),
            Self::Loaded { file } => write!(f, "has {file}"),
            Self::Broken { file, reason } => write!(f, "did not get all of {file}: {reason}"),
        }
    }
}

/// What a machine did, and when.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Sighting {
    /// How the machine is called: its MAC address, or its address where no other is known.
    pub machine: String,
    /// Milliseconds since 1970.
    pub time: u64,
    /// What it did.
    #[serde(flatten)]
    pub step: Step,
}

/// How far a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// How the machine is called.
    pub machine: String,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its firmware.
    pub platform: Option<String>,
    /// The host name that it gets.
    pub host_name: Option<String>,
    /// The netboot directory that it boots: what its script named last.
    pub directory: Option<String>,
    /// What it did last.
    pub last: Option<Sighting>,
    /// When it was last heard of, in milliseconds since 1970.
    pub heard: u64,
    /// The bytes of each file that were sent to it, and the file's size.
    pub files: BTreeMap<String, (u64, u64)>,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
}

impl Progress {
    /// Whether a file of it is on the way.
    pub fn is_loading(&self) -> bool {
        let last = self.last.as_ref().map(|last| &last.step);
        matches!(last, Some(Step::Loading { .. }))
            || self.rate > 0 && self.files.values().any(|(sent, size)| sent < size)
    }
}

/// What all machines did since the server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The bytes that were sent.
    pub bytes: u64,
    /// How often each step was taken, in the order of [`Step::NAMES`].
    pub steps: [u64; Step::NAMES.len()],
}

/// What is known of all machines.
#[derive(Debug)]
pub struct Watch {
    machines: Mutex<HashMap<String, Known>>,
    /// Which machine had an address last. Each report of bytes asks for it, and there are many.
    addresses: Mutex<HashMap<IpAddr, String>>,
    totals: Mutex<Totals>,
    news: broadcast::Sender<Sighting>,
}

#[derive(Debug)]
struct Known {
    progress: Progress,
    heard: Instant,
    /// When it was last sent something.
    sent: Instant,
    /// When the present window of the rate began, and the bytes since.
    window: (Instant, u64),
}

impl Known {
    /// Its progress now: the rate of a machine that gets nothing any more is zero.
    fn at(&self, now: Instant) -> Progress {
        let mut progress = self.progress.clone();
        if now.duration_since(self.sent) > QUIET {
            progress.rate = 0;
        }
        progress
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            machines: Mutex::default(),
            addresses: Mutex::default(),
            totals: Mutex::default(),
            news: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Watch {
    /// Takes down what a machine did.
    pub fn saw(&self, machine: &Machine, step: Step) {
        let now = SystemTime::now();
        let name = self.name(machine);
        let sighting = Sighting {
            machine: name.clone(),
            time: millis(now),
            step,
        };
        if let Some(address) = machine.address {
            self.lives_at(address, &name);
        }
        let mut machines = self.lock();
        let known = entry(&mut machines, name);
        known.progress.address = machine.address.or(known.progress.address);
        if let Some(platform) = machine.platform {
            known.progress.platform = Some(platform.to_string());
        }
        if let Step::Script { directory } = &sighting.step {
            known.progress.directory = Some(directory.clone());
            known.progress.files.clear();
        }
        known.progress.last = Some(sighting.clone());
        drop(machines);
        self.add(|totals| totals.steps[sighting.step.place()] += 1);
        // Without a listener nobody wants to know.
        let _ = self.news.send(sighting);
    }

    /// Takes down the host name that a machine gets.
    pub fn named(&self, machine: &Machine, host_name: &str) {
        let name = self.name(machine);
        let mut machines = self.lock();
        entry(&mut machines, name).progress.host_name = Some(host_name.into());
    }

    /// Takes down that bytes of a file went to an address. Returns how many of the file's bytes the machine had before, and
    /// how many it has now.
    pub fn sent(&self, address: IpAddr, file: &str, bytes: u64, size: u64) -> Range<u64> {
        let now = Instant::now();
        let name = self.name(&Machine {
            address: Some(address),
            ..Machine::default()
        });
        let mut machines = self.lock();
        let known = entry(&mut machines, name);
        let sent = known.progress.files.entry(file.into()).or_default();
        // What is loaded twice does not count twice.
        let had = sent.0..sent.0.saturating_add(bytes).min(size);
        *sent = (had.end, size);
        if now.duration_since(known.sent) > QUIET {
            known.window = (now, 0);
        }
        known.sent = now;
        known.window.1 = known.window.1.saturating_add(bytes);
        let time = now.duration_since(known.window.0);
        if time >= Duration::from_secs(1) {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
            known.progress.rate = known.window.1.saturating_mul(1000) / millis;
            known.window = (now, 0);
        }
        drop(machines);
        self.add(|totals| totals.bytes = totals.bytes.saturating_add(bytes));
        had
    }

    /// How far each machine is, in the order of their names.
    pub fn all(&self) -> Vec<Progress> {
        let now = Instant::now();
        let mut all: Vec<Progress> = self.lock().values().map(|known| known.at(now)).collect();
        all.sort_by(|a, b| a.machine.cmp(&b.machine));
        all
    }

    /// How far the machine is that is called so.
    pub fn of(&self, machine: &str) -> Option<Progress> {
        let now = Instant::now();
        self.lock().get(machine).map(|known| known.at(now))
    }

    /// What all machines did since the server began.
    pub fn totals(&self) -> Totals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.totals.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What machines do from now on.
    pub fn listen(&self) -> broadcast::Receiver<Sighting> {
        self.news.subscribe()
    }

    /// How a machine is called. An address without a MAC is the machine that had it last.
    fn name(&self, machine: &Machine) -> String {
        if let Some(mac) = machine.mac {
            return mac.to_string();
        }
        let Some(address) = machine.address else {
            return "unknown".into();
        };
        let had_it = self.addresses().get(&address).cloned();
        had_it.unwrap_or_else(|| address.to_string())
    }

    fn lives_at(&self, address: IpAddr, name: &str) {
        let mut addresses = self.addresses();
        if addresses.get(&address).is_some_and(|known| known == name) {
            return;
        }
        if addresses.len() >= 2 * MAX_MACHINES {
            let machines = self.lock();
            addresses.retain(|_, name| machines.contains_key(name));
            // Machines that each had many addresses: those that load find their names again by their next script.
            if addresses.len() >= 2 * MAX_MACHINES {
                addresses.clear();
            }
        }
        addresses.insert(address, name.into());
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, String>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(machines: &mut HashMap<String, Known>, name: String) -> &mut Known {
    // A clock that nobody sets: a step back would freeze the rates.
    let now = Instant::now();
    if machines.len() >= MAX_MACHINES && !machines.contains_key(&name) {
        let oldest = machines.iter().min_by_key(|(_, known)| known.heard);
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            machines.remove(&oldest);
        }
    }
    let known = machines.entry(name.clone()).or_insert_with(|| Known {
        progress: Progress {
            machine: name,
            address: None,
            platform: None,
            host_name: None,
            directory: None,
            last: None,
            heard: 0,
            files: BTreeMap::new(),
            rate: 0,
        },
        heard: now,
        sent: now,
        window: (now, 0),
    });
    known.heard = now;
    known.progress.heard = millis(SystemTime::now());
    known
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mac;

    #[test]
    fn bytes_count_for_the_machine_that_has_the_address() {
        let watch = Watch::default();
        let mut news = watch.listen();
        let address = "192.0.2.7".parse().unwrap();
        let machine = Machine {
            mac: Some(Mac([2; 6])),
            address: Some(address),
            ..Machine::default()
        };
        let directory = "a".to_owned();
        watch.saw(&machine, Step::Script { directory });
        watch.sent(address, "initrd", 60, 100);
        watch.sent(address, "initrd", 60, 100);
        let [progress] = &watch.all()[..] else {
            panic!("one machine");
        };
        assert_eq!(progress.machine, "02:02:02:02:02:02");
        assert_eq!(progress.files["initrd"], (100, 100));
        assert_eq!(news.try_recv().unwrap().machine, "02:02:02:02:02:02");
    }

    #[test]
    fn the_names_of_steps_are_those_of_json() {
        let text = String::new;
        let steps = [
            Step::Told { what: text() },
            Step::Script { directory: text() },
            Step::Waiting { what: text() },
            Step::Refused { reason: text() },
            Step::Loading { file: text() },
            Step::Loaded { file: text() },
            Step::Broken {
                file: text(),
                reason: text(),
            },
        ];
        assert_eq!(steps.len(), Step::NAMES.len());
        for (step, name) in steps.iter().zip(Step::NAMES) {
            assert_eq!(serde_json::to_value(step).unwrap()["step"], name);
            assert_eq!(step.name(), name);
        }
    }

    #[test]
    fn steps_and_bytes_are_counted() {
        let watch = Watch::default();
        let machine = Machine {
            mac: Some(Mac([2; 6])),
            ..Machine::default()
        };
        let directory = "a".to_owned();
        watch.saw(&machine, Step::Script { directory });
        watch.saw(&machine, Step::Loaded { file: "b".into() });
        watch.saw(&machine, Step::Loaded { file: "c".into() });
        watch.sent("192.0.2.7".parse().unwrap(), "b", 7, 9);
        let totals = watch.totals();
        assert_eq!((totals.bytes, totals.steps), (7, [0, 1, 0, 0, 0, 2, 0]));
        let progress = watch.of("02:02:02:02:02:02").unwrap();
        assert_eq!(progress.directory.as_deref(), Some("a"));
        assert!(progress.heard > 1_600_000_000_000);
    }

    #[test]
    fn the_rate_of_a_machine_that_gets_nothing_is_zero() {
        let watch = Watch::default();
        let address = "192.0.2.7".parse().unwrap();
        watch.sent(address, "a", 10, 100);
        let mut machines = watch.lock();
        let known = machines.get_mut("192.0.2.7").unwrap();
        known.progress.rate = 10;
        assert!(known.at(known.sent + QUIET).is_loading());
        let later = known.at(known.sent + QUIET + Duration::from_millis(1));
        assert_eq!(later.rate, 0);
    }

    #[test]
    fn an_address_is_the_machine_s_that_had_it_last() {
        let watch = Watch::default();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let files = |name: &str| watch.of(name).map(|progress| progress.files.len());
        for mac in [[2; 6], [4; 6]] {
            let machine = Machine {
                mac: Some(Mac(mac)),
                address: Some(address),
                ..Machine::default()
            };
            let directory = "a".to_owned();
            watch.saw(&machine, Step::Script { directory });
        }
        watch.sent(address, "initrd", 1, 1);
        assert_eq!(files("02:02:02:02:02:02"), Some(0));
        assert_eq!(files("04:04:04:04:04:04"), Some(1));
    }

    #[test]
    fn the_number_of_addresses_has_a_bound() {
        let watch = Watch::default();
        for number in 0..3 * MAX_MACHINES {
            let machine = Machine {
                mac: Some(Mac([2; 6])),
                address: Some(IpAddr::from(u32::try_from(number).unwrap().to_be_bytes())),
                ..Machine::default()
            };
            let file = "a".to_owned();
            watch.saw(&machine, Step::Loading { file });
        }
        assert!(watch.addresses().len() <= 2 * MAX_MACHINES);
    }

    #[test]
    fn the_number_of_machines_has_a_bound() {
        let watch = Watch::default();
        for number in 0..MAX_MACHINES + 10 {
            let address = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            watch.sent(address, "a", 1, 1);
        }
        assert_eq!(watch.all().len(), MAX_MACHINES);
    }
}
