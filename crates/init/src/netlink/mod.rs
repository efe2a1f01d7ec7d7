//! Messages to the kernel and from it: netlink(7).

mod message;
mod socket;

pub(crate) use message::{Message, Request, attributes, messages, number};
pub(crate) use socket::Netlink;
