//! One place that has the images.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::Url;

pub(super) struct Place {
    pub(super) url: Url,
    /// When it may be asked again.
    pub(super) free_at: Duration,
    /// Failures since it last sent something right.
    failures: u32,
    /// Whether it ever sent something right.
    pub(super) has_sent: bool,
    /// How long the last whole chunk took, or takes until another place does it. `None`: that is not known yet.
    pub(super) pace: Option<Duration>,
    /// Whether its server takes requests for some bytes of a file. If not, one connection reads whole files.
    pub(super) takes_ranges: bool,
    /// Whether a connection reads a whole file now.
    pub(super) sends_whole: bool,
    /// Images that it does not have.
    lacks: Vec<bool>,
    /// Where requests for an image were redirected to.
    redirects: Vec<Option<Url>>,
}

impl Place {
    pub(super) fn new(url: Url, images: usize) -> Self {
        Self {
            url,
            free_at: Duration::ZERO,
            failures: 0,
            has_sent: false,
            pace: None,
            takes_ranges: true,
            sends_whole: false,
            lacks: vec![false; images],
            redirects: vec![None; images],
        }
    }

    pub(super) fn has(&self, image: usize) -> bool {
        !self.lacks[image]
    }

    pub(super) fn give_up(&mut self, image: usize) {
        self.lacks[image] = true;
        self.redirects[image] = None;
    }

    pub(super) fn redirected(&self, image: usize) -> Option<&Url> {
        self.redirects[image].as_ref()
    }

    pub(super) fn redirect(&mut self, image: usize, to: Option<Url>) {
        self.redirects[image] = to;
    }

    /// It sent something right: a whole chunk, if it took a `pace`.
    pub(super) fn works(&mut self, pace: Option<Duration>) {
        self.failures = 0;
        self.has_sent = true;
        self.pace = pace.or(self.pace);
    }

    /// The less, the faster it sends. Places of about the same speed are alike, one that was not asked yet comes before
    /// them, and one that failed so far comes last.
    pub(super) fn speed_class(&self) -> u32 {
        match self.pace {
            Some(pace) => pace.as_millis().max(1).ilog2(),
            None if self.failures == 0 => 0,
            None => u32::MAX,
        }
    }

    /// A chunk is taken from it because it takes longer than this.
    pub(super) fn is_slow(&mut self, time: Duration) {
        self.pace = self.pace.max(Some(time));
    }

    /// It failed, and is left alone for a while: twice as long after each failure, with up to a quarter more by chance,
    /// so that many machines do not come back at once. A connection that fails beside others is one failure with them.
    pub(super) fn fails(
        &mut self,
        now: Duration,
        first: Duration,
        longest: Duration,
        random: u32,
    ) -> Duration {
        if self.free_at > now {
            return self.free_at - now;
        }
        let doubled = first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.rest(now, doubled.min(longest), random)
    }

    /// It is left alone for about this long.
    pub(super) fn rest(&mut self, now: Duration, wait: Duration, random: u32) -> Duration {
        let wait = wait + (wait / 4).mul_f32(random as f32 / u32::MAX as f32);
        self.free_at = self.free_at.max(now + wait);
        self.free_at - now
    }
}

/// A host's addresses, the next one to try first.
#[derive(Default)]
pub(super) struct Addresses {
    list: Vec<IpAddr>,
}

impl Addresses {
    pub(super) fn set(&mut self, list: Vec<IpAddr>) {
        self.list = list;
    }

    pub(super) fn next(&mut self) -> Option<IpAddr> {
        match self.list.is_empty() {
            true => None,
            false => Some(self.list.remove(0)),
        }
    }
}
