//! Options of router advertisements that the kernel passes on, since they are not its own business: name servers.

use alloc::vec;
use alloc::vec::Vec;

use linux_raw_sys::netlink as l;

use super::message::{Message, messages, number, short};
use crate::sys::{self, Address, Errno, Fd, Protocol};

/// The size of `nduseroptmsg`.
const BODY: usize = 16;

/// The type of a router advertisement: RFC 4861, section 4.2.
const ROUTER_ADVERTISEMENT: u8 = 134;

/// Hears the options of router advertisements.
#[derive(Debug)]
pub(in crate::network) struct Options {
    socket: Fd,
    buffer: Vec<u8>,
}

impl Options {
    /// Starts to listen. What comes earlier is lost.
    pub(in crate::network) fn listen() -> Result<Self, Errno> {
        let socket = sys::socket(Protocol::Route)?;
        sys::bind(&socket, &Address::Kernel)?;
        sys::join_group(&socket, l::rtnetlink_groups::RTNLGRP_ND_USEROPT as u32)?;
        Ok(Self {
            socket,
            buffer: vec![0; 8 << 10],
        })
    }

    /// What to wait for.
    pub(in crate::network) fn socket(&self) -> &Fd {
        &self.socket
    }

    /// Calls `each` with the link and the bytes of each option that has come.
    pub(in crate::network) fn receive(&mut self, mut each: impl FnMut(u32, &[u8])) {
        // No more than come in a burst, so that a noisy network cannot keep stage 1 here.
        for _ in 0..64 {
            let Ok(len) = sys::receive(&self.socket, &mut self.buffer) else {
                return;
            };
            for message in messages(self.buffer.get(..len).unwrap_or_default()) {
                if let Some((link, option)) = advertised(message) {
                    each(link, option);
                }
            }
        }
    }
}

/// The link and the options of a message.
fn advertised(message: Message<'_>) -> Option<(u32, &[u8])> {
    // The layout of `nduseroptmsg`: family, padding, length of the options, link, ICMP type, code, padding.
    let body = message.body;
    if message.kind != l::RTM_NEWNDUSEROPT as u32 || *body.get(8)? != ROUTER_ADVERTISEMENT {
        return None;
    }
    let len = usize::from(short(body, 2)?);
    Some((number(body, 4)?, body.get(BODY..BODY + len)?))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::super::message::Request;
    use super::*;

    #[test]
    fn options_of_advertisements_only() {
        let option = |kind, len| {
            let mut body = [0; BODY + 8];
            body[2] = len;
            body[4] = 3;
            body[8] = kind;
            body[BODY] = 25;
            let bytes = Request::new(l::RTM_NEWNDUSEROPT as u32, 0, &body).finish(0);
            messages(&bytes)
                .next()
                .and_then(advertised)
                .map(|(link, option)| (link, option.to_vec()))
        };
        assert_eq!(
            option(ROUTER_ADVERTISEMENT, 8),
            Some((3, vec![25, 0, 0, 0, 0, 0, 0, 0]))
        );
        assert_eq!(option(ROUTER_ADVERTISEMENT, 9), None);
        assert_eq!(option(137, 8), None);
    }
}
