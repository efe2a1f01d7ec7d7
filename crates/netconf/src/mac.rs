use core::fmt;

/// The hardware address of an Ethernet card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads six pairs of hexadecimal digits with `separator` between them.
    pub(crate) fn parse(text: &str, separator: char) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut pairs = text.split(separator);
        for byte in &mut bytes {
            *byte = pair(pairs.next()?)?;
        }
        pairs.next().is_none().then_some(Self(bytes))
    }

    /// Reads twelve hexadecimal digits.
    pub(crate) fn parse_digits(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        if text.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = pair(text.get(at..at + 2)?)?;
        }
        Some(Self(bytes))
    }
}

/// `from_str_radix` alone would also take a sign.
fn pair(text: &str) -> Option<u8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok())?
}

/// Six pairs of lower-case digits with colons, as `ip link` shows them.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
