//! What the kernel asks of a network block device, and the answers (`include/uapi/linux/nbd.h`).

/// Bytes of a request, and of the head of an answer.
pub(super) const REQUEST: usize = 28;
pub(super) const ANSWER: usize = 16;

const REQUEST_MAGIC: [u8; 4] = 0x2560_9513_u32.to_be_bytes();
const ANSWER_MAGIC: [u8; 4] = 0x6744_6698_u32.to_be_bytes();

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub kind: Kind,
    /// What the answer says, too, so that the kernel knows which one it is.
    pub cookie: [u8; 8],
    pub offset: u64,
    pub length: u32,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To read.
    Read,
    /// To end. There is no answer.
    Disconnect,
    /// Something that a device for reading does not do.
    Other,
}

impl Request {
    /// Reads a request; `None` if it is none.
    pub(super) fn parse(bytes: &[u8; REQUEST]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (cookie, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (length, _) = rest.split_first_chunk::<4>()?;
        (*magic == REQUEST_MAGIC).then_some(Self {
            // The upper half holds flags, none of which counts for reading.
            kind: match u32::from_be_bytes(*kind) & 0xffff {
                0 => Kind::Read,
                2 => Kind::Disconnect,
                _ => Kind::Other,
            },
            cookie: *cookie,
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(*length),
        })
    }

    /// The head of the answer. An error number of 0 means that all went well.
    pub(super) fn answer(&self, error: u32) -> [u8; ANSWER] {
        let mut answer = [0; ANSWER];
        let (head, cookie) = answer.split_at_mut(8);
        head[..4].copy_from_slice(&ANSWER_MAGIC);
        head[4..].copy_from_slice(&error.to_be_bytes());
        cookie.copy_from_slice(&self.cookie);
        answer
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request as the kernel makes it.
    pub(in super::super) fn bytes(kind: u32, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
        [
            &REQUEST_MAGIC[..],
            &kind.to_be_bytes(),
            &cookie.to_be_bytes(),
            &offset.to_be_bytes(),
            &length.to_be_bytes(),
        ]
        .concat()
    }

    #[test]
    fn a_request_is_read_and_answered() {
        let parse = |bytes: Vec<u8>| Request::parse(&bytes.try_into().unwrap());
        let request = parse(bytes(0, 7, 1 << 40, 4096)).unwrap();
        let expected = Request {
            kind: Kind::Read,
            cookie: 7_u64.to_be_bytes(),
            offset: 1 << 40,
            length: 4096,
        };
        assert_eq!(request, expected);
        let answer = [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(request.answer(5), answer);
        let kind = |kind| parse(bytes(kind, 0, 0, 0)).unwrap().kind;
        assert_eq!(kind(1 << 16), Kind::Read);
        assert_eq!(kind(1), Kind::Other);
        assert_eq!(kind(2), Kind::Disconnect);
        assert_eq!(kind(3), Kind::Other);
        assert_eq!(parse(std::vec![0; REQUEST]), None);
    }
}
