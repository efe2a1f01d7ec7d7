//! One connection and what it is busy with.

mod answer;
mod body;

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;

use sha2::{Digest, Sha256};

use super::engine::Shared;
use super::place::Addresses;
use super::{CHUNK_SIZE, Cause, Error, Event, Machine, Sink, Trouble, Wait};
use crate::Url;
use crate::http::{MAX_HEAD, parse_head, write_request};

/// How often one connection is read before the others have their turn.
const READS: usize = 32;

/// One connection and what it is busy with.
pub(super) struct Slot<C> {
    state: State,
    connection: Option<Open<C>>,
    addresses: Addresses,
    job: Option<Job>,
    /// The place that it asked last.
    pub(super) last_place: usize,
    /// The request, or the head of the answer and what came with it.
    head: Vec<u8>,
    /// How much of `head` was sent; or where in it the part of the body begins that came with the head.
    at: usize,
    /// The chunk that is being received.
    chunk: Vec<u8>,
    filled: usize,
    /// When the chunk that is received, or the request, began.
    begun: Duration,
    hash: Sha256,
    last_byte: Duration,
    window: Window,
}

#[derive(Clone, Copy)]
enum State {
    Idle,
    Connecting,
    Sending,
    Head,
    Body {
        /// Bytes that follow; `None`: until the connection ends.
        left: Option<u64>,
        keeps_alive: bool,
    },
}

struct Open<C> {
    connection: C,
    host: String,
    address: IpAddr,
    port: u16,
    /// Whether it brought an answer before.
    used: bool,
}

/// What is asked for.
pub(super) struct Job {
    pub(super) place: usize,
    pub(super) image: usize,
    pub(super) url: Url,
    /// Chunks that are asked for and did not begin to come.
    pub(super) chunks: Range<usize>,
    /// Where in the file the bytes end that the request asks for.
    end: u64,
    /// The chunk that is being received; `None` where it is there already.
    current: Option<usize>,
    /// The next byte of the file.
    offset: u64,
    /// Whether the server sends the file from its first byte on, whatever it is asked for.
    whole: bool,
    /// Whether it began where an earlier request was redirected to.
    is_redirected: bool,
    redirects: u32,
}

impl Job {
    pub(super) fn new(
        place: usize,
        image: usize,
        url: Url,
        is_redirected: bool,
        chunks: Range<usize>,
    ) -> Self {
        Self {
            place,
            image,
            url,
            chunks,
            end: 0,
            current: None,
            offset: 0,
            whole: false,
            is_redirected,
            redirects: 0,
        }
    }
}

impl Job {
    /// The first chunk that has not come; none where it only reads what is there.
    fn next_chunk(&self) -> Option<usize> {
        self.current.or_else(|| self.chunks.clone().next())
    }

    /// Whether the place itself was not asked. Where it sends machines to may change, or be of use for a while only.
    fn is_stale(&self) -> bool {
        self.is_redirected && self.redirects == 0
    }
}

/// What arrived since some time.
#[derive(Clone, Copy, Default)]
struct Window {
    start: Duration,
    bytes: u64,
}

/// What follows a failure.
enum Then {
    /// The place is left alone for a while.
    Later,
    /// The place is left alone for as long as it says.
    Rest(Duration),
    /// The place is not asked for this image again.
    Never,
}

/// Whether a slot can go on without waiting.
enum Step {
    Again,
    Wait,
}

type Failure = (Cause, Then);

impl<C> Slot<C> {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            connection: None,
            addresses: Addresses::default(),
            job: None,
            last_place: usize::MAX,
            head: Vec::with_capacity(MAX_HEAD),
            at: 0,
            chunk: vec![0; CHUNK_SIZE as usize],
            filled: 0,
            begun: Duration::ZERO,
            hash: Sha256::new(),
            last_byte: Duration::ZERO,
            window: Window::default(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The place that it asks now.
    pub(super) fn place(&self) -> Option<usize> {
        self.job.as_ref().map(|job| job.place)
    }

    /// The first chunk of its job that has not come.
    pub(super) fn next_chunk(&self) -> Option<usize> {
        self.job.as_ref()?.next_chunk()
    }

    /// How long its chunks will take, as far as can be said.
    pub(super) fn time_left(&self, shared: &Shared<'_>) -> Duration {
        let Some(job) = &self.job else {
            return Duration::ZERO;
        };
        let time = shared.now.saturating_sub(self.begun);
        let pace = shared.places.get(job.place).and_then(|place| place.pace);
        let filled = self.filled.min(CHUNK_SIZE as usize) as u32;
        let each = match (job.current, filled) {
            (Some(_), 1..) => time.saturating_mul(CHUNK_SIZE as u32) / filled,
            _ => pace.unwrap_or_default().max(time),
        };
        let count = u32::try_from(job.chunks.len()).unwrap_or(u32::MAX);
        each.saturating_mul(count.saturating_add(1))
    }

    /// Gives up the back half of the chunks that did not begin to come. Where there is only one chunk, gives up that and
    /// the connection, but not before `grace` is over: connections begin slowly.
    pub(super) fn hand_over<M: Machine<Connection = C>>(
        &mut self,
        grace: Duration,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Option<Range<usize>> {
        let job = self.job.as_mut()?;
        let count = job.chunks.len();
        // One chunk stays with it.
        let half = match job.current {
            Some(_) => count.div_ceil(2),
            None => count / 2,
        };
        if half > 0 {
            let end = job.chunks.end;
            job.chunks.end -= half;
            return Some(job.chunks.end..end);
        }
        let chunk = job.next_chunk()?;
        let time = shared.now.saturating_sub(self.begun);
        if time < grace {
            return None;
        }
        if let Some(place) = shared.places.get_mut(job.place) {
            place.is_slow(time);
        }
        let trouble = Trouble {
            url: job.url.to_string(),
            cause: Cause::Slow {
                offset: job.offset,
                bytes: self.filled as u64,
                time,
            },
            wait: Some(Duration::ZERO),
        };
        shared.tell(trouble, machine);
        self.connection = None;
        self.drop_job(shared);
        Some(chunk..chunk + 1)
    }

    /// The connection, and what it waits for.
    pub(super) fn waits(&mut self) -> Option<(&mut C, Wait)> {
        let wait = match self.state {
            State::Idle => return None,
            State::Connecting | State::Sending => Wait::Send,
            State::Head | State::Body { .. } => Wait::Receive,
        };
        self.connection
            .as_mut()
            .map(|open| (&mut open.connection, wait))
    }

    /// Begins a job, whose chunks are marked as asked for.
    pub(super) fn begin<M: Machine<Connection = C>>(
        &mut self,
        job: Job,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) {
        self.last_place = job.place;
        self.job = Some(job);
        self.window = Window {
            start: shared.now,
            bytes: 0,
        };
        let begun = self.request(shared, machine);
        self.settle(begun, shared, machine);
    }

    /// Sends the request on the open connection, or opens one first.
    fn request<M: Machine<Connection = C>>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<(), Failure> {
        let Some(job) = &mut self.job else {
            return Ok(());
        };
        let first = shared.work.piece(job.chunks.start);
        let last = shared.work.piece(job.chunks.end.saturating_sub(1));
        let bytes = first.offset..last.offset + last.size as u64;
        job.offset = bytes.start;
        job.end = bytes.end;
        job.current = None;
        job.whole = false;
        self.filled = 0;
        self.begun = shared.now;
        self.last_byte = shared.now;
        write_request(&mut self.head, &job.url, &bytes);
        self.at = 0;
        shared.summary.requests += 1;
        machine.report(Event::Request {
            url: &job.url,
            offset: bytes.start,
            bytes: bytes.end - bytes.start,
        });
        let fits =
            |open: &Open<C>| (open.host.as_str(), open.port) == (job.url.host(), job.url.port());
        if self.connection.as_ref().is_some_and(fits) {
            self.state = State::Sending;
            return Ok(());
        }
        self.connection = None;
        let host = job.url.host();
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => match shared.names.get(host) {
                Some(known) => known.clone(),
                None => {
                    let found = machine.resolve(host);
                    shared.now = machine.now();
                    // All connections stand still while a name is looked up. Where another place works, this is not done
                    // often.
                    let found = found.map_err(|error| {
                        let then = match shared.comes_from_elsewhere(job.image, job.place) {
                            true => Then::Rest(shared.limits.longest_retry_after),
                            false => Then::Later,
                        };
                        (Cause::Resolve(error.to_string()), then)
                    })?;
                    shared.names.insert(host.into(), found.clone());
                    found
                }
            },
        };
        self.addresses.set(addresses);
        let unknown = Cause::Resolve("it has no address".into());
        self.connect((unknown, Then::Later), shared, machine)
    }

    /// Begins to connect to the next address; where none is left, fails with `last`.
    fn connect<M: Machine<Connection = C>>(
        &mut self,
        mut last: Failure,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<(), Failure> {
        self.close_failed(shared);
        let Some(url) = self.job.as_ref().map(|job| &job.url) else {
            return Ok(());
        };
        while let Some(address) = self.addresses.next() {
            match machine.connect(SocketAddr::new(address, url.port())) {
                Ok(connection) => {
                    self.connection = Some(Open {
                        connection,
                        host: url.host().into(),
                        address,
                        port: url.port(),
                        used: false,
                    });
                    self.state = State::Connecting;
                    self.last_byte = shared.now;
                    return Ok(());
                }
                Err(error) => {
                    shared.put_last(url.host(), address);
                    last = (Cause::Connection(error.to_string()), Then::Later);
                }
            }
        }
        shared.names.remove(url.host());
        Err(last)
    }

    /// Closes a connection that failed. The next one to this host goes to another of its addresses, if it has any.
    fn close_failed(&mut self, shared: &mut Shared<'_>) {
        if let Some(open) = self.connection.take() {
            shared.put_last(&open.host, open.address);
        }
    }

    /// Goes on after the connection became ready.
    pub(super) fn drive<M: Machine<Connection = C>, S: Sink>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
        sink: &mut S,
    ) -> Result<(), Error<S::Error>> {
        let mut steps = 0;
        // What is here already does not make the connection ready again.
        while steps < READS || self.goes_on_without_receiving() {
            steps += 1;
            match self.step(shared, machine, sink)? {
                Ok(Step::Again) if !self.is_idle() => {}
                Ok(_) => break,
                Err(failure) => {
                    self.settle(Err(failure), shared, machine);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether the answer is over, or part of it came with its head.
    fn goes_on_without_receiving(&self) -> bool {
        match self.state {
            State::Body { left, .. } => left == Some(0) || self.at < self.head.len(),
            _ => false,
        }
    }

    fn step<M: Machine<Connection = C>, S: Sink>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
        sink: &mut S,
    ) -> Result<Result<Step, Failure>, Error<S::Error>> {
        Ok(match self.state {
            State::Idle => Ok(Step::Wait),
            State::Connecting => self.open(shared, machine),
            State::Sending => self.send(shared, machine),
            State::Head => self.receive_head(shared, machine),
            State::Body { left, keeps_alive } => {
                return self.receive_body(left, keeps_alive, shared, machine, sink);
            }
        })
    }

    fn open<M: Machine<Connection = C>>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<Step, Failure> {
        let Some(open) = &mut self.connection else {
            return Ok(Step::Wait);
        };
        match machine.connected(&mut open.connection) {
            Ok(()) => {
                self.state = State::Sending;
                self.last_byte = shared.now;
                Ok(Step::Again)
            }
            Err(error) => {
                let failure = (Cause::Connection(error.to_string()), Then::Later);
                self.connect(failure, shared, machine).map(|()| Step::Wait)
            }
        }
    }

    fn send<M: Machine<Connection = C>>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<Step, Failure> {
        let Some(open) = &mut self.connection else {
            return Ok(Step::Wait);
        };
        let rest = self.head.get(self.at..).unwrap_or_default();
        match machine.send(&mut open.connection, rest) {
            Ok(None) => Ok(Step::Wait),
            Ok(Some(sent)) => {
                self.at += sent;
                if self.at >= self.head.len() {
                    self.head.clear();
                    self.at = 0;
                    self.state = State::Head;
                    self.last_byte = shared.now;
                }
                Ok(Step::Again)
            }
            Err(error) => self.broken(error.to_string(), shared, machine),
        }
    }

    /// The connection broke before an answer came. A server may close one that it kept, just when the next request is
    /// on its way; then the request is sent again.
    fn broken<M: Machine<Connection = C>>(
        &mut self,
        error: String,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<Step, Failure> {
        if self.connection.as_ref().is_some_and(|open| open.used) {
            self.connection = None;
            return self.request(shared, machine).map(|()| Step::Wait);
        }
        Err((Cause::Connection(error), Then::Later))
    }

    fn receive_head<M: Machine<Connection = C>>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<Step, Failure> {
        let Some(open) = &mut self.connection else {
            return Ok(Step::Wait);
        };
        let before = self.head.len();
        self.head.resize(MAX_HEAD, 0);
        let received = machine.receive(&mut open.connection, &mut self.head[before..]);
        let count = match &received {
            Ok(Some(count)) => *count,
            _ => 0,
        };
        self.head.truncate(before + count);
        match received {
            Ok(None) => return Ok(Step::Wait),
            Ok(Some(0)) if before == 0 => {
                return self.broken("the server closed it".into(), shared, machine);
            }
            Ok(Some(0)) => {
                let offset = self.job.as_ref().map_or(0, |job| job.offset);
                return Err((Cause::Closed { offset }, Then::Later));
            }
            Ok(Some(count)) => {
                self.last_byte = shared.now;
                self.window.bytes += count as u64;
            }
            Err(error) if before == 0 => return self.broken(error.to_string(), shared, machine),
            Err(error) => return Err((Cause::Connection(error.to_string()), Then::Later)),
        }
        let parsed = parse_head(&self.head).map_err(|error| (Cause::Head(error), Then::Later))?;
        let Some((head, length)) = parsed else {
            return Ok(Step::Wait);
        };
        if (100..200).contains(&head.status) {
            // The answer itself comes behind it. Two of these are never needed: a server that sends nothing else is
            // caught by the bound on time.
            self.head.drain(..length);
            return Ok(Step::Again);
        }
        self.at = length;
        open.used = true;
        self.answer(&head, shared, machine)
    }

    /// The answer is over, and with it the job.
    fn end_answer(&mut self, keeps_alive: bool, shared: &mut Shared<'_>) {
        // Bytes behind the answer are no part of it, and spoil the connection.
        if !keeps_alive || self.at < self.head.len() {
            self.connection = None;
        }
        self.drop_job(shared);
    }

    /// Gives back what did not come.
    fn drop_job(&mut self, shared: &mut Shared<'_>) {
        self.state = State::Idle;
        self.filled = 0;
        if let Some(job) = self.job.take() {
            if job.whole
                && let Some(place) = shared.places.get_mut(job.place)
            {
                place.sends_whole = false;
            }
            job.chunks
                .chain(job.current)
                .for_each(|chunk| shared.work.give_back(chunk));
        }
    }

    /// Ends the job after a failure, and says so.
    fn settle<M: Machine<Connection = C>>(
        &mut self,
        result: Result<(), Failure>,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) {
        let Err((cause, then)) = result else {
            return;
        };
        self.close_failed(shared);
        let job = self
            .job
            .as_ref()
            .map(|job| (job.place, job.image, job.url.to_string(), job.is_stale()));
        self.drop_job(shared);
        let Some((number, image, url, is_stale)) = job else {
            return;
        };
        let (now, limits, random) = (shared.now, shared.limits, machine.random());
        let Some(place) = shared.places.get_mut(number) else {
            return;
        };
        place.redirect(image, None);
        let wait = match then {
            Then::Rest(wait) if wait >= limits.first_wait => {
                Some(place.rest(now, wait.min(limits.longest_retry_after), random))
            }
            Then::Never if !is_stale => {
                place.give_up(image);
                None
            }
            _ => Some(place.fails(now, limits.first_wait, limits.longest_wait, random)),
        };
        shared.tell(Trouble { url, cause, wait }, machine);
    }

    /// Gives up a connection that takes too long.
    pub(super) fn check_time<M: Machine<Connection = C>>(
        &mut self,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) {
        let limits = shared.limits;
        let quiet = shared.now.saturating_sub(self.last_byte);
        let offset = self.job.as_ref().map_or(0, |job| job.offset);
        let result = match self.state {
            State::Idle => return,
            State::Connecting if quiet >= limits.connect => {
                let failure = (Cause::NoConnection(limits.connect), Then::Later);
                self.connect(failure, shared, machine)
            }
            State::Connecting => return,
            _ if quiet >= limits.silence => Err((
                Cause::Silent {
                    offset,
                    time: limits.silence,
                },
                Then::Later,
            )),
            _ => {
                let time = shared.now.saturating_sub(self.window.start);
                if time < limits.slow_time {
                    return;
                }
                let bytes = self.window.bytes;
                self.window = Window {
                    start: shared.now,
                    bytes: 0,
                };
                if bytes >= limits.slow_bytes {
                    return;
                }
                Err((
                    Cause::Slow {
                        offset,
                        bytes,
                        time,
                    },
                    Then::Later,
                ))
            }
        };
        self.settle(result, shared, machine);
    }
}
