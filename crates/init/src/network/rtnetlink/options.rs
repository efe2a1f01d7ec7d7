//! Options of router advertisements that the kernel passes on, since they are not its own business: name servers.

use alloc::vec;
use alloc::vec::Vec;

use linux_raw_sys::netlink as l;

use crate::netlink::messages;
use crate::network::AT_ONCE;
use crate::sys::{self, Address, Errno, Fd, Protocol};

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

    /// Calls `each` with the body of every message about options that has come: a `nduseroptmsg` and the options.
    pub(in crate::network) fn receive(&mut self, mut each: impl FnMut(&[u8])) {
        for _ in 0..AT_ONCE {
            let Ok(len) = sys::receive(&self.socket, &mut self.buffer) else {
                return;
            };
            for message in messages(self.buffer.get(..len).unwrap_or_default()) {
                if message.kind == l::RTM_NEWNDUSEROPT as u32 {
                    each(message.body);
                }
            }
        }
    }
}
