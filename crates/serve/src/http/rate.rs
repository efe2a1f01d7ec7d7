//! How many bytes a second all answers together may have.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So long a server that had nothing to send may exceed its rate.
const BURST: Duration = Duration::from_millis(100);

/// Hands out bytes to senders in the order in which they ask, as many a second as its rate.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_a_second: Option<u64>,
    /// When the bytes that were handed out will have been sent.
    busy_until: Mutex<Instant>,
}

impl Rate {
    /// `None` is no bound. A rate of less than a byte a second is a byte a second.
    pub(super) fn new(bytes_a_second: Option<u64>) -> Self {
        Self {
            bytes_a_second: bytes_a_second.map(|rate| rate.max(1)),
            busy_until: Mutex::new(Instant::now()),
        }
    }

    /// As many bytes of `most` as a sender should ask for at once, so that none waits long for its turn.
    pub(super) fn slice(&self, most: usize) -> usize {
        let Some(rate) = self.bytes_a_second else {
            return most;
        };
        usize::try_from(rate / 50)
            .unwrap_or(most)
            .clamp(1024.min(most), most)
    }

    /// Waits until the sender may send so many bytes.
    pub(super) async fn wait(&self, bytes: usize) {
        if let Some(start) = self.start(bytes, Instant::now()) {
            sleep_until(start).await;
        }
    }

    /// When a sender that asks now may send so many bytes.
    fn start(&self, bytes: usize, now: Instant) -> Option<Instant> {
        let rate = self.bytes_a_second?;
        let time = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let mut busy_until = self
            .busy_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = (*busy_until).max(earliest);
        *busy_until = start + time;
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many senders ask in turn. Returns how long after the first byte the last one may be sent.
    fn last_start(rate: &Rate, now: Instant, slices: u32, slice: usize) -> Duration {
        let starts = (0..slices).filter_map(|_| rate.start(slice, now));
        starts
            .last()
            .map_or(Duration::ZERO, |last| last.saturating_duration_since(now))
    }

    #[test]
    fn all_together_keep_to_the_rate() {
        let rate = Rate::new(Some(1_000_000));
        let slice = rate.slice(1 << 20);
        assert_eq!(slice, 20_000);
        // Ten seconds, less the burst and the time of the last slice itself.
        let last = last_start(&rate, Instant::now() + Duration::from_secs(1), 500, slice);
        assert_eq!(last.as_millis(), 10_000 - 100 - 20);
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let rate = Rate::new(Some(1_000_000));
        let later = Instant::now() + Duration::from_secs(3600);
        let last = last_start(&rate, later, 11, 100_000);
        assert_eq!(last.as_millis(), 900);
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let rate = Rate::new(None);
        assert_eq!(rate.start(1 << 30, Instant::now()), None);
        assert_eq!(rate.slice(1 << 20), 1 << 20);
    }

    #[test]
    fn the_lowest_rate_is_no_division_by_zero() {
        let rate = Rate::new(Some(0));
        assert_eq!(rate.slice(1 << 16), 1024);
        assert!(rate.start(1024, Instant::now()).is_some());
    }
}
