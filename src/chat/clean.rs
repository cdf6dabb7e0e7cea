//! What others wrote, made harmless for a terminal: nothing in it can move the cursor, change colours or turn the
//! direction of what follows.

use chat_actors::chat::rules::misleads;

/// On one line: line breaks and everything else that is not to be seen become escapes.
pub fn line(text: &str) -> String {
    cleaned(text, |_| false)
}

/// The same with line breaks kept; a tab becomes a space.
pub fn lines(text: &str) -> String {
    cleaned(&text.replace("\r\n", "\n").replace('\t', " "), |character| character == '\n')
}

/// JSON without such characters: they stand in strings only, where they can be escaped.
pub fn json(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if misleads(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                clean.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            clean.push(character);
        }
    }
    clean
}

fn cleaned(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if misleads(character) && !is_kept(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_is_left() {
        for (text, on_a_line, on_lines) in [
            ("plain é 👍", "plain é 👍", "plain é 👍"),
            ("a\nb", "a\\nb", "a\nb"),
            ("a\r\n\tb", "a\\r\\n\\tb", "a\n b"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("\u{202e}cod.exe", "\\u{202e}cod.exe", "\\u{202e}cod.exe"),
        ] {
            assert_eq!(line(text), on_a_line);
            assert_eq!(lines(text), on_lines);
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"text": "\u{1b}\u{9b}\u{202e} é \"x\" \u{7f}"});
        let clean = json(&value.to_string());
        assert!(clean.chars().all(|character| !misleads(character)), "{clean}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), value);
    }
}
