//! What the head of an answer means for the job.

use core::time::Duration;

use super::{Failure, Slot, State, Step, Then};
use crate::download::engine::Shared;
use crate::download::{Cause, Machine};
use crate::http::Head;

impl<C> Slot<C> {
    /// What the server says.
    pub(super) fn answer<M: Machine<Connection = C>>(
        &mut self,
        head: &Head,
        shared: &mut Shared<'_>,
        machine: &mut M,
    ) -> Result<Step, Failure> {
        let Some(job) = &mut self.job else {
            return Ok(Step::Wait);
        };
        let size = shared.work.size_of(job.image);
        let cause = Cause::Status(head.status);
        match head.status {
            200 | 206 if head.encoding.is_some() => {
                let encoding = head.encoding.clone().unwrap_or_default();
                Err((Cause::Encoded(encoding), Then::Never))
            }
            206 => {
                let other = (Cause::OtherBytes { offset: job.offset }, Then::Later);
                let Some((Some((first, last)), total)) =
                    head.range.map(|range| (range.bytes, range.total))
                else {
                    return Err(other);
                };
                if let Some(found) = total.filter(|&total| total != size) {
                    return Err((
                        Cause::Size {
                            found,
                            expected: size,
                        },
                        Then::Never,
                    ));
                }
                let count = last - first + 1;
                if first != job.offset
                    || last >= job.end
                    || head.length.is_some_and(|length| length != count)
                {
                    return Err(other);
                }
                if let Some(place) = shared.places.get_mut(job.place) {
                    place.takes_ranges = true;
                }
                self.state = State::Body {
                    left: Some(count),
                    keeps_alive: head.keeps_alive,
                };
                Ok(Step::Again)
            }
            200 => {
                if let Some(found) = head.length.filter(|&length| length != size) {
                    return Err((
                        Cause::Size {
                            found,
                            expected: size,
                        },
                        Then::Never,
                    ));
                }
                let place = shared.places.get_mut(job.place);
                if let Some(place) = place {
                    place.takes_ranges = false;
                    if core::mem::replace(&mut place.sends_whole, true) {
                        // Another connection reads a whole file from there already.
                        self.end_answer(false, shared);
                        return Ok(Step::Again);
                    }
                }
                // From here on, what is missing when the server gets there is taken.
                for chunk in job.chunks.clone() {
                    shared.work.give_back(chunk);
                }
                job.chunks = 0..0;
                job.whole = true;
                job.offset = 0;
                self.state = State::Body {
                    left: head.length,
                    keeps_alive: head.keeps_alive,
                };
                Ok(Step::Again)
            }
            301 | 302 | 303 | 307 | 308 => {
                let Some(location) = &head.location else {
                    return Err((Cause::NoLocation(head.status), Then::Never));
                };
                if job.redirects >= shared.limits.redirects {
                    return Err((
                        Cause::TooManyRedirects(shared.limits.redirects),
                        Then::Never,
                    ));
                }
                let to = job
                    .url
                    .redirect(location)
                    .map_err(|error| (Cause::Redirect(error), Then::Never))?;
                job.redirects += 1;
                job.url = to.clone();
                if let Some(place) = shared.places.get_mut(job.place) {
                    place.redirect(job.image, Some(to));
                }
                // The rest of this answer is of no use.
                self.connection = None;
                self.request(shared, machine).map(|()| Step::Wait)
            }
            416 => match head.range.and_then(|range| range.total) {
                Some(found) => Err((
                    Cause::Size {
                        found,
                        expected: size,
                    },
                    Then::Never,
                )),
                None => Err((cause, Then::Never)),
            },
            429 | 503 => {
                let wait = head
                    .retry_after
                    .map(|seconds| Duration::from_secs(seconds.into()));
                let then = wait.map_or(Then::Later, Then::Rest);
                Err((cause, then))
            }
            408 | 500..=599 => Err((cause, Then::Later)),
            _ => Err((cause, Then::Never)),
        }
    }
}
