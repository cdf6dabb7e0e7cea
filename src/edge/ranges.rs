//! Which part of a file a request wants: one range of bytes (RFC 9110), or all of it. Pure.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(Range<u64>),
    /// It begins behind the end.
    Nothing,
}

/// What a `Range` header asks for. Several ranges, other units and what makes no sense ask for all.
pub fn wanted(range: Option<&str>, length: u64) -> Wanted {
    let spec = range.and_then(|range| range.trim().strip_prefix("bytes="));
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else { return Wanted::Whole };
    let number = |text: &str| {
        let text = text.trim();
        // A number too large for us lies behind every end.
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), last) if last.is_some() || last_is_open(spec) => {
            let last = last.unwrap_or(u64::MAX);
            match () {
                () if last < first => Wanted::Whole,
                () if first >= length => Wanted::Nothing,
                () => Wanted::Part(first..last.saturating_add(1).min(length)),
            }
        }
        (None, Some(count)) if first.trim().is_empty() => match count.min(length) {
            0 => Wanted::Nothing,
            count => Wanted::Part(length - count..length),
        },
        _ => Wanted::Whole,
    }
}

fn last_is_open(spec: Option<&str>) -> bool {
    spec.is_some_and(|spec| spec.trim_end().ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_or_all() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=9-9", Wanted::Part(9..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=0-99999999999999999999", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=1-b", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(range), 10), expected, "{range}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(wanted(Some(range), 0), Wanted::Nothing, "of an empty file");
        }
    }
}
