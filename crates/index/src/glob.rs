//! Shell patterns as `modprobe` compares them with modaliases.

/// Whether a pattern of a module matches a modalias of a device.
///
/// `*` stands for any bytes, `?` for one, and `[a-f0]` for one of a set or `[!a-f0]` for one outside it; `\` takes the
/// byte behind it literally. A `[` that is never closed is an ordinary byte. `-` and `_` are the same outside of sets.
/// These are the rules of `fnmatch` without flags and of kmod's names. Classes such as `[:digit:]`, which the kernel
/// never writes, are not known.
///
/// The time is at most the product of both lengths, whatever they are.
///
/// ```
/// use storeboot_index::glob::matches;
/// assert!(matches("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"));
/// assert!(!matches("usb:v0B95p1790d010[0-4]*", "usb:v0B95p1790d0105"));
/// ```
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star is in the pattern, and the end of the text that it stands for. An earlier star never has to
    // stand for more: what comes between the two was matched at its first place, which leaves the last star the most.
    let mut star = None;
    while t < text.len() {
        let rest = pattern.get(p..).unwrap_or_default();
        if rest.first() == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(length) = one(rest, normal(text[t])) {
            p += length;
            t += 1;
        } else if let Some((at, end)) = star {
            star = Some((at, end + 1));
            (p, t) = (at + 1, end + 1);
        } else {
            return false;
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// What a pattern requires a text to begin with: all up to its first special byte.
pub(crate) fn literal(pattern: &str) -> &str {
    let special = |byte: char| matches!(byte, '*' | '?' | '[' | '\\');
    pattern.split(special).next().unwrap_or_default()
}

/// The byte that stands for all that count as the same.
pub(crate) const fn normal(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// The length of the pattern's first element, if it is not a star and matches this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    let first = *pattern.first()?;
    let (matches, length) = match first {
        b'?' => (true, 1),
        b'[' => set(pattern, byte).unwrap_or((byte == b'[', 1)),
        b'\\' if pattern.len() > 1 => (normal(pattern[1]) == byte, 2),
        _ => (normal(first) == byte, 1),
    };
    matches.then_some(length)
}

/// Whether a byte is in the set that the pattern begins with, and the length of the set. `None`: it is never closed.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let inverted = matches!(pattern.get(1), Some(b'!' | b'^'));
    let begin = if inverted { 2 } else { 1 };
    let mut at = begin;
    let mut found = false;
    loop {
        // A `]` right at the begin is a member.
        if pattern.get(at) == Some(&b']') && at > begin {
            return Some((found != inverted, at + 1));
        }
        let low = member(pattern, &mut at)?;
        let is_range =
            pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|next| *next != b']');
        let high = if is_range {
            at += 1;
            member(pattern, &mut at)?
        } else {
            low
        };
        found |= (low..=high).contains(&byte);
    }
}

/// One byte of a set, which `\` may stand before.
fn member(pattern: &[u8], at: &mut usize) -> Option<u8> {
    if pattern.get(*at) == Some(&b'\\') {
        *at += 1;
    }
    let byte = *pattern.get(*at)?;
    *at += 1;
    Some(byte)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_are_those_of_modprobe() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "any", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a*c", "abcb", false),
            ("a*c", "abcbc", true),
            ("*ab", "aab", true),
            ("a*b*c", "aXbXbXc", true),
            ("platform:my-card", "platform:my_card", true),
            ("platform:my_card", "platform:my-card", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            ("[]a]", "]", true),
            ("[a-]", "a", true),
            ("[0-9A-F]*", "F", true),
            ("[0-9A-F]", "f", false),
            (r"[\]]", "]", true),
            ("[a", "[a", true),
            ("[", "[", true),
            ("[a", "a", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"\", r"\", true),
            ("acpi*:PNP0501:*", "acpi:PNP0501:", true),
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            ("virtio:d00000001v*", "virtio:d00000002v00001AF4", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} and {text:?}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        // The plain way, which tries every split, needs more than 10^20 steps for this.
        let pattern = "a*".repeat(100) + "b";
        assert!(!matches(&pattern, &"a".repeat(1000)));
    }

    /// The same by trying everything.
    fn plain(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.first() {
            None => text.is_empty(),
            Some(b'*') => {
                plain(&pattern[1..], text) || !text.is_empty() && plain(pattern, &text[1..])
            }
            Some(_) => text.first().is_some_and(|byte| {
                one(pattern, normal(*byte))
                    .is_some_and(|length| plain(&pattern[length..], &text[1..]))
            }),
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_as_trying_everything(pattern in r"[ab_\-\\*?\[\]!]{0,9}", text in r"[ab_\-\[\]]{0,9}") {
            prop_assert_eq!(matches(&pattern, &text), plain(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_text_with_pieces_taken_out_still_matches(pieces in prop::collection::vec("[a-z:_]{0,5}", 1..6)) {
            let (pattern, text): (String, String) = (pieces.join("*"), pieces.join("some"));
            prop_assert!(matches(&pattern, &text));
            prop_assert!(matches(&pattern, &pieces.concat()));
        }

        #[test]
        fn the_literal_begin_is_needed(pattern in r"[ab*?\[\\]{0,6}", text in "[ab]{0,6}") {
            if matches(&pattern, &text) {
                prop_assert!(text.starts_with(literal(&pattern)));
            }
        }

        #[test]
        fn any_texts_are_taken(pattern in any::<String>(), text in any::<String>()) {
            let _ = matches(&pattern, &text);
            prop_assert!(matches("*", &text));
            let with_escapes: String = text.chars().map(|c| format!("\\{c}")).collect();
            prop_assert!(matches(&with_escapes, &text));
        }
    }
}
