//! The `Range` header, as RFC 9110 section 14 has it.

use std::ops::Range;

/// Which part of a file a request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// All of it: there is no `Range` header, or one that a server ignores.
    Whole,
    /// These bytes.
    Of(Range<u64>),
    /// Bytes that the file does not have.
    None,
}

/// Reads a `Range` header of a file with `size` bytes.
///
/// As RFC 9110 wants it, a header of another unit or without sense is as none. So is one of more than one range, which a
/// server may ignore.
pub(super) fn part(header: &str, size: u64) -> Part {
    let Some(range) = single(header) else {
        return Part::Whole;
    };
    let range = match range {
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        (None, Some(count)) => size.saturating_sub(count)..size,
        (None, None) => return Part::Whole,
    };
    match range.is_empty() {
        true => Part::None,
        false => Part::Of(range),
    }
}

/// The numbers before and after the hyphen of the one range in a header.
fn single(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    match (first, last) {
        (Some(first), Some(last)) if first > last => None,
        (None, None) => None,
        range => Some(range),
    }
}

/// The number that digits stand for. `Some(None)`: there are no digits. `None`: there is something else.
fn number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number that is too large for us is beyond the end of every file.
    Some((!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_a_file() {
        for (header, expected) in [
            ("bytes=0-", Part::Of(0..100)),
            ("bytes=0-0", Part::Of(0..1)),
            ("bytes=10-19", Part::Of(10..20)),
            ("Bytes=10-19", Part::Of(10..20)),
            ("bytes=90-1000", Part::Of(90..100)),
            ("bytes=99-99999999999999999999999", Part::Of(99..100)),
            ("bytes=-10", Part::Of(90..100)),
            ("bytes=-1000", Part::Of(0..100)),
            ("bytes=100-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=20-10", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes", Part::Whole),
            ("", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=1 - 2", Part::Whole),
            ("bytes=0x1-2", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(part(header, 100), expected, "{header}");
        }
        assert_eq!(part("bytes=0-", 0), Part::None);
    }

    proptest! {
        #[test]
        fn what_a_header_asks_for_is_inside_the_file(header in "(bytes=)?[-0-9, a]{0,24}", size: u64) {
            if let Part::Of(range) = part(&header, size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }

        #[test]
        fn a_range_is_what_it_says(first: u64, count in 1..=u64::MAX, size: u64) {
            let last = first.saturating_add(count - 1);
            let expected = match first < size {
                true => Part::Of(first..last.saturating_add(1).min(size)),
                false => Part::None,
            };
            prop_assert_eq!(part(&format!("bytes={first}-{last}"), size), expected);
        }

        #[test]
        fn any_text_will_do(header: String, size: u64) {
            part(&header, size);
        }
    }
}
