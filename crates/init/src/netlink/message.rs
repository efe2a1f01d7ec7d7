//! The bytes of netlink messages: netlink(7), rtnetlink(7), and the kernel's `Documentation/userspace-api/netlink`.
//!
//! A message is a head of 16 bytes, a structure that belongs to its kind, and attributes. An attribute is its length,
//! its kind, and its value. Each starts on a multiple of four bytes. Numbers have the machine's byte order.

use alloc::vec::Vec;

use linux_raw_sys::netlink as l;

const HEAD: usize = 16;
const ATTRIBUTE_HEAD: usize = 4;

/// A message to the kernel, being built.
#[derive(Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A message of this kind (`RTM_…`, or a family of generic netlink) with these flags (`NLM_F_…`) and what belongs to
    /// its kind. The kernel answers each.
    pub(crate) fn new(kind: u32, flags: u32, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend([0; 4]);
        bytes.extend((kind as u16).to_ne_bytes());
        bytes.extend(((l::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Self(bytes)
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, kind: u32, value: &[u8]) -> Self {
        let start = self.begin(kind);
        self.0.extend(value);
        self.end(start);
        self
    }

    /// Adds an attribute that holds others.
    pub(crate) fn with_inner(mut self, kind: u32, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.begin(kind | l::NLA_F_NESTED);
        let mut whole = inner(self);
        whole.align();
        whole.end(start);
        whole
    }

    fn begin(&mut self, kind: u32) -> usize {
        self.align();
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind as u16).to_ne_bytes());
        start
    }

    /// Writes the length of an attribute that is complete. None here comes near 64 KiB.
    fn end(&mut self, start: usize) {
        let len = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// The complete message. Its answer has the same number.
    pub(crate) fn finish(mut self, number: u32) -> Vec<u8> {
        self.align();
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&number.to_ne_bytes());
        self.0
    }
}

/// A message of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub kind: u32,
    pub number: u32,
    /// The structure that belongs to its kind, and the attributes.
    pub body: &'a [u8],
}

/// The messages in what was received at once. They end at the first that makes no sense.
pub(crate) fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let len = number(rest, 0)? as usize;
        let message = Message {
            kind: u32::from(short(rest, 4)?),
            number: number(rest, 8)?,
            body: rest.get(HEAD..len)?,
        };
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes behind the first `skip` bytes of a message's body, as kind and value. They end at the first that
/// makes no sense.
pub(crate) fn attributes(body: &[u8], skip: usize) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = body.get(skip..).unwrap_or_default();
    core::iter::from_fn(move || {
        let len = usize::from(short(rest, 0)?);
        // The two highest bits are no part of the kind.
        let kind = u32::from(short(rest, 2)? & 0x3fff);
        let value = rest.get(ATTRIBUTE_HEAD..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The 32-bit number at an offset.
pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// The 16-bit number at an offset.
fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_lengths_and_padding() {
        let bytes = Request::new(l::RTM_NEWADDR as u32, l::NLM_F_ACK, &[2, 24])
            .with(3, b"abcde")
            .with_inner(18, |inner| inner.with(1, b"vlan").with(2, &[7]))
            .finish(0x0102_0304);
        #[rustfmt::skip]
        assert_eq!(bytes, [
            52, 0, 0, 0,  20, 0, 5, 0,  4, 3, 2, 1,  0, 0, 0, 0,
            2, 24, 0, 0,
            9, 0, 3, 0,  b'a', b'b', b'c', b'd', b'e', 0, 0, 0,
            20, 0, 18, 0x80,
            8, 0, 1, 0,  b'v', b'l', b'a', b'n',
            5, 0, 2, 0,  7, 0, 0, 0,
        ][..]);
    }

    #[test]
    fn what_was_built_is_read_again() {
        let mut bytes = Request::new(20, 0, &[1, 2, 3, 4])
            .with(5, b"abcde")
            .with(0x8006, b"")
            .finish(7);
        bytes.extend(Request::new(3, 0, &[0; 4]).finish(8));
        let found: Vec<_> = messages(&bytes).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].number), (20, 7));
        let list: Vec<_> = attributes(found[0].body, 4).collect();
        assert_eq!(list, [(5, &b"abcde"[..]), (6, &b""[..])]);
        assert_eq!((found[1].kind, found[1].number), (3, 8));
        assert_eq!(attributes(found[1].body, 4).count(), 0);
    }

    #[test]
    fn a_length_that_makes_no_sense_ends_it() {
        let whole = Request::new(20, 0, &[0; 4]).with(5, b"abcd").finish(7);
        for len in [0_u32, 15, 29, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[..4].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0, "{len}");
        }
        for len in [0_u16, 3, 9, u16::MAX] {
            let mut bytes = whole.clone();
            bytes[20..22].copy_from_slice(&len.to_ne_bytes());
            let message = messages(&bytes).next().unwrap();
            assert_eq!(attributes(message.body, 4).count(), 0, "{len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, skip in 0_usize..40) {
            for message in messages(&bytes) {
                attributes(message.body, skip).count();
            }
        }
    }
}
