//! Hands out the work, and keeps account.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;

use super::place::Place;
use super::slot::{Job, Slot};
use super::work::Work;
use super::{
    CHUNK_SIZE, Error, Event, Limits, Machine, Plan, Progress, Sink, Summary, Trouble, Waiting,
};

/// Time is looked at this often at least.
const TICK: Duration = Duration::from_secs(1);
/// What a place has to be later by than another before that one does its work.
const GRACE: Duration = Duration::from_secs(2);

/// What all connections share.
pub(super) struct Shared<'a> {
    pub(super) work: Work<'a>,
    pub(super) places: Vec<Place>,
    pub(super) limits: Limits,
    /// The addresses of hosts, as long as they work.
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) summary: Summary,
    /// What went wrong last.
    pub(super) last: Option<Trouble>,
    pub(super) now: Duration,
    last_right: Duration,
    /// The chunk that is asked for before all others.
    wanted: Option<usize>,
    /// Whether no other is asked for.
    only: bool,
    paths: Vec<&'a str>,
}

impl Shared<'_> {
    /// A right chunk came from a place, and took this time.
    pub(super) fn arrived(&mut self, chunk: usize, size: usize, place: usize, time: Duration) {
        self.work.finish(chunk);
        self.summary.bytes += size as u64;
        self.last_right = self.now;
        let is_whole = size as u64 == CHUNK_SIZE;
        if let Some(place) = self.places.get_mut(place) {
            place.works(is_whole.then_some(time));
        }
    }

    /// Tells of trouble, and keeps it for an error.
    pub(super) fn tell<M: Machine>(&mut self, trouble: Trouble, machine: &mut M) {
        machine.report(Event::Trouble(&trouble));
        self.last = Some(trouble);
    }

    /// An address of a host did not do: the others are tried before it from now on.
    pub(super) fn put_last(&mut self, host: &str, address: IpAddr) {
        let Some(known) = self.names.get_mut(host) else {
            return;
        };
        if let Some(at) = known.iter().position(|other| *other == address) {
            known[at..].rotate_left(1);
        }
    }

    /// Whether a chunk of an image came from another place than this one, which has the image.
    pub(super) fn comes_from_elsewhere(&self, image: usize, place: usize) -> bool {
        let mut places = self.places.iter().enumerate();
        places.any(|(number, other)| number != place && other.has(image) && other.has_sent)
    }

    /// Whether every place that has the chunk's image sent it wrong as often as the limit allows.
    pub(super) fn is_wrong_everywhere(&self, chunk: usize) -> bool {
        let image = self.work.image_of(chunk);
        self.places.iter().enumerate().all(|(number, place)| {
            !place.has(image) || self.work.times_wrong(chunk, number) >= self.limits.wrong
        })
    }

    pub(super) fn path(&self, image: usize) -> String {
        self.paths[image].to_string()
    }

    /// Whether a chunk is to be asked for at a place: one that came wrong there is asked for elsewhere first.
    fn is_for(&self, chunk: usize, place: usize) -> bool {
        if !self.work.came_wrong(chunk) {
            return true;
        }
        let image = self.work.image_of(chunk);
        let here = self.work.times_wrong(chunk, place);
        let others = self.places.iter().enumerate().filter(|(number, other)| {
            *number != place && other.has(image) && other.free_at <= self.now
        });
        let fewest = others
            .map(|(number, _)| self.work.times_wrong(chunk, number))
            .min();
        here < self.limits.wrong && fewest.is_none_or(|fewest| here <= fewest)
    }

    /// The chunks that a place is to be asked for next.
    fn next_chunks(&self, number: usize) -> Option<(usize, Range<usize>)> {
        let place = &self.places[number];
        let wanted = self.wanted.filter(|&chunk| self.work.is_missing(chunk));
        let wanted = wanted
            .filter(|&chunk| place.has(self.work.image_of(chunk)) && self.is_for(chunk, number));
        if self.only && wanted.is_none() {
            return None;
        }
        let mut from = wanted.unwrap_or(0);
        let (image, start) = loop {
            let chunk = self.work.next_missing(from)?;
            let image = self.work.image_of(chunk);
            if !place.has(image) {
                from = self.work.chunks_of(image).end;
            } else if self.is_for(chunk, number) {
                break (image, chunk);
            } else {
                from = chunk + 1;
            }
        };
        // Near the end the requests get smaller, so that all connections end at about the same time.
        let fair = self.work.missing_count() / (2 * self.limits.connections);
        let most = match self.only || self.work.came_wrong(start) {
            true => 1,
            false => fair.clamp(1, self.limits.chunks_per_request.max(1)),
        };
        let end = (start + most).min(self.work.chunks_of(image).end);
        let follows = |chunk: &usize| self.work.is_missing(*chunk) && !self.work.came_wrong(*chunk);
        let length = (start + 1..end).take_while(follows).count();
        Some((image, start..start + 1 + length))
    }
}

pub(super) struct Engine<'a, C> {
    shared: Shared<'a>,
    slots: Vec<Slot<C>>,
    start: Duration,
    reported: (Duration, u64),
}

impl<'a, C> Engine<'a, C> {
    pub(super) fn new<M: Machine<Connection = C>, E>(
        plan: &Plan<'a>,
        machine: &mut M,
    ) -> Result<Self, Error<E>> {
        if plan.places.is_empty() || plan.limits.connections == 0 {
            return Err(Error::NoPlaces);
        }
        for (place, image) in plan
            .places
            .iter()
            .flat_map(|place| plan.images.iter().map(move |image| (place, image)))
        {
            place.join(image.path).map_err(Error::Path)?;
        }
        let now = machine.now();
        let work = Work::new(plan)?;
        let place = |url: &crate::Url| Place::new(url.clone(), plan.images.len());
        // More connections than chunks would be idle.
        let slots = plan.limits.connections.min(work.missing_count());
        Ok(Self {
            reported: (now, work.done),
            shared: Shared {
                work,
                places: plan.places.iter().map(place).collect(),
                limits: plan.limits,
                names: BTreeMap::new(),
                summary: Summary::default(),
                last: None,
                now,
                last_right: now,
                wanted: None,
                only: false,
                paths: plan.images.iter().map(|image| image.path).collect(),
            },
            slots: (0..slots).map(|_| Slot::new()).collect(),
            start: now,
        })
    }

    pub(super) fn run<M: Machine<Connection = C>, S: Sink>(
        mut self,
        machine: &mut M,
        sink: &mut S,
    ) -> Result<Summary, Error<S::Error>> {
        while !self.shared.work.is_done() {
            self.shared.now = machine.now();
            self.check()?;
            self.assign(machine)?;
            self.report(machine);
            for number in self.wait(machine) {
                self.shared.now = machine.now();
                self.slots[number].drive(&mut self.shared, machine, sink)?;
            }
            self.shared.now = machine.now();
            for slot in &mut self.slots {
                slot.check_time(&mut self.shared, machine);
            }
        }
        self.shared.summary.time = machine.now().saturating_sub(self.start);
        Ok(self.shared.summary)
    }

    /// Whether it makes sense to go on.
    fn check<E>(&mut self) -> Result<(), Error<E>> {
        let shared = &mut self.shared;
        let lost = (0..shared.paths.len()).find(|&image| {
            shared.work.is_wanted(image) && !shared.places.iter().any(|place| place.has(image))
        });
        if let Some(image) = lost {
            return Err(Error::Nowhere {
                path: shared.path(image),
                last: shared.last.take().map(Box::new),
            });
        }
        let wrong = shared
            .work
            .wrong_chunks()
            .find(|&chunk| shared.is_wrong_everywhere(chunk));
        if let Some(chunk) = wrong {
            let piece = shared.work.piece(chunk);
            return Err(Error::Wrong {
                path: shared.path(piece.image),
                offset: piece.offset,
                url: shared.last.take().map_or_else(String::new, |last| last.url),
            });
        }
        let time = shared.now.saturating_sub(shared.last_right);
        if time >= shared.limits.patience {
            return Err(Error::Patience {
                time,
                done: shared.work.done,
                total: shared.work.total,
                last: shared.last.take().map(Box::new),
            });
        }
        Ok(())
    }

    /// Gives idle connections something to do.
    fn assign<M: Machine<Connection = C>, E>(&mut self, machine: &mut M) -> Result<(), Error<E>> {
        let next = machine.next();
        if next.stop {
            return Err(Error::Stopped);
        }
        let work = &self.shared.work;
        let wanted = next.wanted;
        let wanted = wanted.and_then(|(image, byte)| work.chunk_at(image, byte));
        self.shared.wanted = wanted.filter(|&chunk| work.is_missing(chunk));
        self.shared.only = next.only;
        let is_idle = self.slots.iter().all(Slot::is_idle);
        if next.only && self.shared.wanted.is_none() && is_idle {
            self.shared.last_right = self.shared.now;
        }
        for number in 0..self.slots.len() {
            if !self.slots[number].is_idle() {
                continue;
            }
            let Some((place, image, chunks)) =
                self.choose(number).or_else(|| self.take_over(machine))
            else {
                continue;
            };
            for chunk in chunks.clone() {
                self.shared.work.ask(chunk);
            }
            let from = &self.shared.places[place];
            let redirected = from.redirected(image).cloned();
            let is_redirected = redirected.is_some();
            // The plan was checked for this.
            let url = redirected.or_else(|| from.url.join(self.shared.paths[image]).ok());
            let Some(url) = url else {
                continue;
            };
            let job = Job::new(place, image, url, is_redirected, chunks);
            self.slots[number].begin(job, &mut self.shared, machine);
        }
        Ok(())
    }

    /// Takes chunks over from the connection that is latest with them, for a place that sends much faster. So one slow
    /// place of several does not decide how long the download takes.
    fn take_over<M: Machine<Connection = C>>(
        &mut self,
        machine: &mut M,
    ) -> Option<(usize, usize, Range<usize>)> {
        let shared = &self.shared;
        let places = shared.places.iter().enumerate();
        let quick = places.filter(|(_, place)| place.free_at <= shared.now && place.takes_ranges);
        let (pace, place) = quick
            .filter_map(|(number, place)| Some((place.pace?, number)))
            .min()?;
        let late = self.slots.iter().enumerate().filter_map(|(number, slot)| {
            let chunk = slot.next_chunk()?;
            let image = shared.work.image_of(chunk);
            let is_fit = slot.place() != Some(place)
                && shared.places[place].has(image)
                && !shared.work.came_wrong(chunk);
            is_fit.then(|| (slot.time_left(shared), image, number))
        });
        let (time, image, number) = late.max()?;
        if time <= pace * 2 + GRACE {
            return None;
        }
        let chunks = self.slots[number].hand_over(GRACE, &mut self.shared, machine)?;
        Some((place, image, chunks))
    }

    /// The place that fewest connections are busy with, the one that this connection knows first. Where somebody waits
    /// for one chunk, the place that sends fastest.
    fn choose(&self, number: usize) -> Option<(usize, usize, Range<usize>)> {
        let shared = &self.shared;
        let busy = |place: usize| {
            self.slots
                .iter()
                .filter(|slot| slot.place() == Some(place))
                .count()
        };
        let pace = |place: usize| match shared.only {
            true => shared.places[place].speed_class(),
            false => 0,
        };
        let mut free: Vec<(usize, u32, bool, usize)> = (0..shared.places.len())
            .filter(|&place| shared.places[place].free_at <= shared.now)
            .map(|place| {
                (
                    busy(place),
                    pace(place),
                    place != self.slots[number].last_place,
                    place,
                )
            })
            .filter(|&(busy, .., place)| busy == 0 || shared.places[place].takes_ranges)
            .collect();
        free.sort_unstable();
        free.into_iter().find_map(|(.., place)| {
            let (image, chunks) = shared.next_chunks(place)?;
            Some((place, image, chunks))
        })
    }

    fn report<M: Machine>(&mut self, machine: &mut M) {
        let (at, done) = self.reported;
        let time = self.shared.now.saturating_sub(at);
        if time < self.shared.limits.progress {
            return;
        }
        let now_done = self.shared.work.done;
        let bytes = now_done.saturating_sub(done);
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        machine.report(Event::Progress(Progress {
            done: now_done,
            total: self.shared.work.total,
            rate: bytes.saturating_mul(1000) / millis,
        }));
        self.reported = (self.shared.now, now_done);
    }

    /// Waits, and returns the connections that are ready.
    fn wait<M: Machine<Connection = C>>(&mut self, machine: &mut M) -> Vec<usize> {
        let now = self.shared.now;
        let mut timeout = TICK;
        if self.slots.iter().any(Slot::is_idle) {
            let free = self.shared.places.iter().map(|place| place.free_at);
            let next = free.filter(|&at| at > now).min();
            timeout = next.map_or(timeout, |at| timeout.min(at - now));
        }
        let mut numbers = Vec::with_capacity(self.slots.len());
        let mut waiting = Vec::with_capacity(self.slots.len());
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if let Some((connection, wait)) = slot.waits() {
                numbers.push(number);
                waiting.push(Waiting {
                    connection,
                    wait,
                    ready: false,
                });
            }
        }
        machine.wait(&mut waiting, timeout);
        let ready = numbers.into_iter().zip(&waiting);
        ready
            .filter(|(_, waiting)| waiting.ready)
            .map(|(number, _)| number)
            .collect()
    }
}

const _: () = assert!(CHUNK_SIZE <= u32::MAX as u64, "a chunk fits into memory");
