//! Makes items on several threads and takes them in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

use crate::Error;

struct State<T> {
    /// The next one to make.
    next: usize,
    /// The next one to take.
    taken: usize,
    made: BTreeMap<usize, Result<T, Error>>,
    /// Threads that have not ended.
    threads: usize,
    stopped: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A panic cannot leave the state half changed: nothing in `change` panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut State<T>)) {
        act(&mut self.lock());
        self.changed.notify_all();
    }
}

/// Notes that a thread has ended, be it by a panic.
struct Leaving<'a, T>(&'a Shared<T>);

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        self.0.change(|state| state.threads -= 1);
    }
}

/// Makes the items with the numbers below `count` on the pool's threads, and takes them in order on this one. At most
/// `ahead` of them are being made or wait to be taken. The first error, in their order, ends it.
pub(super) fn in_order<T: Send>(
    count: usize,
    pool: &ThreadPool,
    ahead: usize,
    make: impl Fn(usize) -> Result<T, Error> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = pool.current_num_threads().min(count);
    let shared = Shared {
        state: Mutex::new(State {
            next: 0,
            taken: 0,
            made: BTreeMap::new(),
            threads,
            stopped: false,
        }),
        changed: Condvar::new(),
    };
    pool.in_place_scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|_| {
                let _leaving = Leaving(&shared);
                make_all(&shared, count, ahead, &make);
            });
        }
        let taken = take_all(&shared, count, &mut take);
        shared.change(|state| state.stopped = true);
        taken
    })
}

fn make_all<T>(
    shared: &Shared<T>,
    count: usize,
    ahead: usize,
    make: &impl Fn(usize) -> Result<T, Error>,
) {
    loop {
        let mut state = shared.lock();
        while !state.stopped && state.next < count && state.next - state.taken >= ahead {
            state = shared.wait(state);
        }
        if state.stopped || state.next >= count {
            return;
        }
        let number = state.next;
        state.next += 1;
        drop(state);
        let made = make(number);
        shared.change(|state| {
            // Items behind an error are not taken, so they need not be made.
            if made.is_err() {
                state.next = count;
            }
            state.made.insert(number, made);
        });
    }
}

fn take_all<T>(
    shared: &Shared<T>,
    count: usize,
    take: &mut impl FnMut(usize, T) -> Result<(), Error>,
) -> Result<(), Error> {
    for number in 0..count {
        let mut state = shared.lock();
        let made = loop {
            if let Some(made) = state.made.remove(&number) {
                break made;
            }
            if state.threads == 0 {
                return Err(Error::Inconsistent("a thread that packs is gone".into()));
            }
            state = shared.wait(state);
        };
        drop(state);
        take(number, made?)?;
        shared.change(|state| state.taken = number + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("threads")
    }

    #[test]
    fn all_are_taken_in_their_order_and_few_wait() {
        for threads in [1, 2, 7] {
            let (made, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut all = Vec::new();
            in_order(
                200,
                &pool(threads),
                5,
                |number| {
                    let before = made.fetch_add(1, Ordering::SeqCst);
                    assert!(before <= taken.load(Ordering::SeqCst) + 5);
                    if number % 13 == 0 {
                        std::thread::yield_now();
                    }
                    Ok(number * 2)
                },
                |number, thing| {
                    assert_eq!(thing, number * 2);
                    taken.fetch_add(1, Ordering::SeqCst);
                    all.push(number);
                    Ok(())
                },
            )
            .expect("no error");
            assert!(all.into_iter().eq(0..200));
        }
    }

    #[test]
    fn the_first_error_in_order_is_told() {
        let fail = |text: String| Err::<(), _>(Error::Inconsistent(text));
        for threads in [1, 3] {
            let mut taken = 0;
            let result = in_order(
                100,
                &pool(threads),
                10,
                |number| match number {
                    20 | 21 | 25 => fail(format!("error {number}")),
                    _ => Ok(()),
                },
                |_, ()| {
                    taken += 1;
                    Ok(())
                },
            );
            let error = result.expect_err("there is one").to_string();
            assert!(error.contains("error 20"), "{error}");
            assert_eq!(taken, 20);
        }
        let result = in_order(100, &pool(3), 10, Ok, |number, _| match number {
            30 => fail("cannot take 30".into()),
            _ => Ok(()),
        });
        let error = result.expect_err("there is one").to_string();
        assert!(error.contains("cannot take 30"), "{error}");
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        in_order(0, &pool(4), 1, |_| Ok(()), |_, ()| Ok(())).expect("no error");
    }

    #[test]
    fn a_thread_that_panics_does_not_leave_us_waiting() {
        let result = std::panic::catch_unwind(|| {
            in_order(
                3,
                &pool(1),
                1,
                |number| match number {
                    1 => panic!("it is meant to"),
                    _ => Ok(()),
                },
                |_, ()| Ok(()),
            )
        });
        // The scope passes the panic on.
        assert!(result.is_err());
    }
}
