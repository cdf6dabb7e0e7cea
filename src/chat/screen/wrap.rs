//! Text in a width, counted as terminals draw it.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text in lines of at most this width: broken at spaces where there are some, else where it must be.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    text.split('\n').flat_map(|line| wrap_line(line, width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut current, mut used) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let shown = UnicodeWidthStr::width(word.trim_end_matches(' '));
        if used + shown > width && used > 0 {
            lines.push(std::mem::take(&mut current));
            used = 0;
        }
        for character in word.chars() {
            let wide = UnicodeWidthChar::width(character).unwrap_or(0);
            if used + wide > width {
                // A space at the end of a line needs no place.
                if character == ' ' {
                    continue;
                }
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push(character);
            used += wide;
        }
    }
    lines.push(current);
    lines
}

/// The beginning of a text on one line of at most this width, with a sign when something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if UnicodeWidthStr::width(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += UnicodeWidthChar::width(character).unwrap_or(0);
        if used > width {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_never_too_wide_and_nothing_is_missing() {
        for (text, width, expected) in [
            ("", 10, &[""][..]),
            ("one two three", 7, &["one two", "three"]),
            ("one two three", 8, &["one two ", "three"]),
            ("abcdefgh ij", 4, &["abcd", "efgh", "ij"]),
            ("a\n\nb", 10, &["a", "", "b"]),
            ("日本語です", 4, &["日本", "語で", "す"]),
        ] {
            assert_eq!(wrap(text, width), expected, "{text}");
        }
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("short", 5), "short");
    }
}
