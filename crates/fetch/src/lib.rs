//! Downloads store images by HTTP/1.1 from one or more places, and checks each chunk before it is used.
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;
