//! Asking the kernel, and reading its answer.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use linux_raw_sys::netlink as l;

use super::message::{Message, Request, messages, number};
use crate::sys::{self, Address, Errno, Fd, Poll, Protocol};

/// What the kernel sends at once fits into this: netlink(7).
const BUFFER: usize = 32 << 10;

/// How long an answer may take. The kernel gives it while it takes the request, so this never passes.
const ANSWER: Duration = Duration::from_secs(10);

/// A socket for questions to the kernel.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Fd,
    buffer: Vec<u8>,
    number: u32,
}

impl Netlink {
    /// Asks the part of the kernel that this protocol is for.
    pub(crate) fn open(protocol: Protocol) -> Result<Self, Errno> {
        let socket = sys::socket(protocol)?;
        sys::bind(&socket, &Address::Kernel)?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            number: 0,
        })
    }

    /// Has the kernel change something.
    pub(crate) fn change(&mut self, request: Request) -> Result<(), Errno> {
        self.ask(request, |_| {})
    }

    /// Sends a request that asks for an answer (`NLM_F_ACK` or `NLM_F_DUMP`) and calls `each` with every message of a
    /// list.
    pub(crate) fn ask(
        &mut self,
        request: Request,
        mut each: impl FnMut(Message<'_>),
    ) -> Result<(), Errno> {
        self.number += 1;
        sys::send_to(&self.socket, &request.finish(self.number), &Address::Kernel)?;
        loop {
            let len = match sys::receive(&self.socket, &mut self.buffer) {
                Err(Errno::EAGAIN) => {
                    let mut wanted = [Poll::to_read(&self.socket)];
                    sys::poll(&mut wanted, Some(ANSWER))?;
                    if !wanted[0].ready {
                        return Err(Errno::ETIMEDOUT);
                    }
                    continue;
                }
                received => received?,
            };
            for message in messages(self.buffer.get(..len).unwrap_or_default()) {
                if message.number != self.number {
                    continue;
                }
                match message.kind {
                    l::NLMSG_DONE => return Ok(()),
                    l::NLMSG_ERROR => return answer(message.body),
                    _ => each(message),
                }
            }
        }
    }
}

/// What an answer says: a negative error number, or zero.
fn answer(body: &[u8]) -> Result<(), Errno> {
    match number(body, 0).ok_or(Errno::EIO)? {
        0 => Ok(()),
        error => Err(Errno(error.wrapping_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(answer(&0_i32.to_ne_bytes()), Ok(()));
        assert_eq!(answer(&(-17_i32).to_ne_bytes()), Err(Errno::EEXIST));
        assert_eq!(answer(&[0; 3]), Err(Errno::EIO));
    }
}
