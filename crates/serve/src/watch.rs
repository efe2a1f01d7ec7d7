//! How far each machine is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::{Mac, Machine};

/// So many machines are remembered; the one that was heard of last goes when another comes.
const MAX_MACHINES: usize = 10_000;
/// So many sightings wait for a listener that is slow.
const BACKLOG: usize = 1024;

/// What a machine did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// What a machine did, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// What it did last.
    pub last: Option<Sighting>,
    /// The bytes of each file that were sent to it, and the file's size.
    pub files: BTreeMap<String, (u64, u64)>,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
}

/// What is known of all machines.
#[derive(Debug)]
pub struct Watch {
    machines: Mutex<HashMap<String, Known>>,
    news: broadcast::Sender<Sighting>,
}

#[derive(Debug)]
struct Known {
    progress: Progress,
    heard: SystemTime,
    /// When the present window of the rate began, and the bytes since.
    window: (SystemTime, u64),
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            machines: Mutex::default(),
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
        let mut machines = self.lock();
        let known = entry(&mut machines, name, now);
        known.progress.address = machine.address.or(known.progress.address);
        if let Some(platform) = machine.platform {
            known.progress.platform = Some(platform.to_string());
        }
        if let Step::Script { .. } = sighting.step {
            known.progress.files.clear();
        }
        known.progress.last = Some(sighting.clone());
        drop(machines);
        // Without a listener nobody wants to know.
        let _ = self.news.send(sighting);
    }

    /// Takes down the host name that a machine gets.
    pub fn named(&self, machine: &Machine, host_name: &str) {
        let name = self.name(machine);
        let mut machines = self.lock();
        entry(&mut machines, name, SystemTime::now())
            .progress
            .host_name = Some(host_name.into());
    }

    /// Takes down that bytes of a file went to an address.
    pub fn sent(&self, address: IpAddr, file: &str, bytes: u64, size: u64) {
        let now = SystemTime::now();
        let name = self.name(&Machine {
            address: Some(address),
            ..Machine::default()
        });
        let mut machines = self.lock();
        let known = entry(&mut machines, name, now);
        let sent = known.progress.files.entry(file.into()).or_default();
        // What is loaded twice does not count twice.
        *sent = (sent.0.saturating_add(bytes).min(size), size);
        known.window.1 = known.window.1.saturating_add(bytes);
        let time = now.duration_since(known.window.0).unwrap_or_default();
        if time >= Duration::from_secs(1) {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
            known.progress.rate = known.window.1.saturating_mul(1000) / millis;
            known.window = (now, 0);
        }
    }

    /// How far each machine is, in the order of their names.
    pub fn all(&self) -> Vec<Progress> {
        let mut all: Vec<Progress> = self
            .lock()
            .values()
            .map(|known| known.progress.clone())
            .collect();
        all.sort_by(|a, b| a.machine.cmp(&b.machine));
        all
    }

    /// What machines do from now on.
    pub fn listen(&self) -> broadcast::Receiver<Sighting> {
        self.news.subscribe()
    }

    /// How a machine is called. An address without a MAC is the machine that had it last.
    fn name(&self, machine: &Machine) -> String {
        if let Some(Mac(_)) = machine.mac {
            return machine.mac.map(|mac| mac.to_string()).unwrap_or_default();
        }
        let Some(address) = machine.address else {
            return "unknown".into();
        };
        let machines = self.lock();
        let had_it = machines
            .values()
            .filter(|known| known.progress.address == Some(address))
            .max_by_key(|known| known.heard);
        had_it.map_or_else(
            || address.to_string(),
            |known| known.progress.machine.clone(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(machines: &mut HashMap<String, Known>, name: String, now: SystemTime) -> &mut Known {
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
            last: None,
            files: BTreeMap::new(),
            rate: 0,
        },
        heard: now,
        window: (now, 0),
    });
    known.heard = now;
    known
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_number_of_machines_has_a_bound() {
        let watch = Watch::default();
        for number in 0..MAX_MACHINES + 10 {
            let address = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            watch.sent(address, "a", 1, 1);
        }
        assert_eq!(watch.all().len(), MAX_MACHINES);
    }
}
