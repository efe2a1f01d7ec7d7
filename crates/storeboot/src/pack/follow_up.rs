//! Runs follow-up work, in order, on a second thread.

use std::sync::mpsc::sync_channel;
use std::{panic, thread};

use crate::Error;

/// Items that may wait for the second thread. Each may hold a file open.
const WAITING: usize = 16;

/// Runs `make` on this thread, and `work` on a second one for each item that `make` hands on, in order. Where both
/// fail, the error is that of `work`: its item came first.
pub(crate) fn with_follow_up<T: Send>(
    work: impl FnMut(T) -> Result<(), Error> + Send,
    make: impl FnOnce(&mut dyn FnMut(T) -> Result<(), Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        let worker = thread::Builder::new()
            .spawn_scoped(scope, move || receiver.into_iter().try_for_each(work))
            .map_err(Error::Threads)?;
        let made = make(&mut |thing| {
            sender
                .send(thing)
                .map_err(|_| Error::Inconsistent("the follow-up thread is gone".into()))
        });
        drop(sender);
        let worked = worker
            .join()
            .unwrap_or_else(|cause| panic::resume_unwind(cause));
        worked.and(made)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        Error::Inconsistent(text.into())
    }

    #[test]
    fn all_is_worked_on_in_order() {
        let mut seen = Vec::new();
        with_follow_up(
            |number: u32| {
                seen.push(number);
                Ok(())
            },
            |hand_on| (0..1000).try_for_each(hand_on),
        )
        .expect("no error");
        assert!(seen.into_iter().eq(0..1000));
    }

    #[test]
    fn the_error_about_what_came_first_is_told() {
        let fail_at = |worked: Option<u32>, made: Option<u32>| {
            let result = with_follow_up(
                |number| match worked {
                    Some(at) if at == number => Err(error("of work")),
                    _ => Ok(()),
                },
                |hand_on| {
                    (0..1000).try_for_each(|number| match made {
                        Some(at) if at == number => Err(error("of make")),
                        _ => hand_on(number),
                    })
                },
            );
            result.expect_err("one was asked for").to_string()
        };
        assert!(fail_at(Some(3), None).contains("of work"));
        assert!(fail_at(Some(999), None).contains("of work"));
        assert!(fail_at(None, Some(3)).contains("of make"));
        for _ in 0..20 {
            assert!(fail_at(Some(3), Some(4)).contains("of work"));
        }
    }
}
