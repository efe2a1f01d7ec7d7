//! Waiting for sockets.

use alloc::vec::Vec;
use core::time::Duration;

use linux_raw_sys::general as k;

use super::syscall::syscall;
use super::{Errno, Fd};

/// An open file to wait for, and whether it is ready.
#[derive(Debug)]
pub struct Poll<'a> {
    fd: &'a Fd,
    events: u32,
    /// Whether a call on it returns at once: with what was waited for, or with why that never comes.
    pub ready: bool,
}

impl<'a> Poll<'a> {
    /// Waits until there is something to read, or the end.
    #[must_use]
    pub fn to_read(fd: &'a Fd) -> Self {
        Self::new(fd, true, false)
    }

    /// Waits until there is room to write, or a connection has come about or failed.
    #[must_use]
    pub fn to_write(fd: &'a Fd) -> Self {
        Self::new(fd, false, true)
    }

    /// Waits for either, or both.
    #[must_use]
    pub fn new(fd: &'a Fd, read: bool, write: bool) -> Self {
        let read = if read { k::POLLIN } else { 0 };
        let write = if write { k::POLLOUT } else { 0 };
        Self {
            fd,
            events: read | write,
            ready: false,
        }
    }
}

/// Waits until one of them is ready, for so long at most; without a time, for ever. A signal ends the waiting, too.
pub fn poll(wanted: &mut [Poll<'_>], time: Option<Duration>) -> Result<(), Errno> {
    let mut list: Vec<k::pollfd> = wanted
        .iter()
        .map(|one| k::pollfd {
            fd: one.fd.number() as i32,
            events: one.events as i16,
            revents: 0,
        })
        .collect();
    // The layout of `__kernel_timespec`: seconds and nanoseconds.
    let mut time = time.map(|time| [time.as_secs() as i64, i64::from(time.subsec_nanos())]);
    let time_at = time.as_mut().map_or(0, |time| time.as_mut_ptr() as usize);
    // SAFETY: the kernel writes to the list's entries and to the two numbers of the time, and is given no signal mask.
    let result = unsafe {
        let (list_at, len) = (list.as_mut_ptr() as usize, list.len());
        syscall(k::__NR_ppoll, [list_at, len, time_at, 0, 0])
    };
    match result {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno),
    }
    for (one, answer) in wanted.iter_mut().zip(&list) {
        one.ready = answer.revents != 0;
    }
    Ok(())
}
