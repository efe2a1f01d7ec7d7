//! The part of HTTP/1.1 that a download needs (RFC 9110 and 9112).

mod request;
mod response;

pub(crate) use request::write_request;
pub use response::{ContentRange, Head, HeadError, MAX_HEAD, parse_head};
