//! Whom a text mentions: `@name`. Pure, and of ASCII alone.
//!
//! Where a name ends is not always sure: `@ann.` means *ann* at the end of a sentence, unless somebody is
//! called `ann.`. So a mention has a tail, with each beginning of which the name could go on, and whoever
//! counts mentions looks whether there is such a name.

use std::collections::BTreeMap;

use super::rules::NAME_CHARS_MAX;

/// Names that one text mentions; further ones are not heard.
pub const MENTIONS_MAX: usize = 100;

/// Each name that is mentioned if nobody has a longer one, with what follows it of the characters of names.
pub fn mentions(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (place, _) in text.match_indices('@') {
        if text[..place].bytes().next_back().is_some_and(of_a_name) {
            continue;
        }
        let behind = &text[place + 1..];
        let end = behind.bytes().position(|byte| !of_a_name(byte)).unwrap_or(behind.len());
        let run = behind[..end].to_ascii_lowercase();
        let least = run.trim_end_matches(['.', '-']).len().max(1);
        for length in least..=run.len().min(NAME_CHARS_MAX) {
            let (name, tail) = run.split_at(length);
            if found.len() == MENTIONS_MAX && !found.contains_key(name) {
                return found;
            }
            // Said twice, the surer one counts.
            let known = found.entry(name.to_owned()).or_insert_with(|| tail.to_owned());
            if tail.len() < known.len() {
                tail.clone_into(known);
            }
        }
    }
    found
}

/// The names that somebody must not have, for a mention with this tail to be one of this name.
pub fn longer_names<'n>(name: &'n str, tail: &'n str) -> impl Iterator<Item = String> + 'n {
    (1..=tail.len()).map(move |length| format!("{name}{}", &tail[..length]))
}

fn of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_text_mentions() {
        for (text, expected) in [
            ("", ""),
            ("@", ""),
            ("@ann", "ann"),
            ("hi @Ann, @bob_2!", "ann bob_2"),
            ("mail ann@bob.example", ""),
            ("(@ann)@bob", "ann bob"),
            ("ü@ann", "ann"),
            ("@@ann", "ann"),
            ("@ann.", "ann~. ann."),
            ("@ann.-", "ann~.- ann.~- ann.-"),
            ("@ann. @ann", "ann ann."),
            ("@a.b.", "a.b~. a.b."),
            ("@..", ".~. .."),
            ("@änn", ""),
        ] {
            let found: Vec<_> = mentions(text)
                .into_iter()
                .map(|(name, tail)| if tail.is_empty() { name } else { format!("{name}~{tail}") })
                .collect();
            let mut expected: Vec<_> = expected.split_whitespace().collect();
            expected.sort_by_key(|mention| mention.split('~').next().unwrap().to_owned());
            assert_eq!(found, expected, "{text}");
        }
        let long = format!("@{} @{}", "x".repeat(33), "y".repeat(32));
        assert_eq!(mentions(&long).into_keys().collect::<Vec<_>>(), ["y".repeat(32)]);
        let many: Vec<_> = (0..500).map(|number| format!("@user{number}")).collect();
        assert_eq!(mentions(&many.join(" ")).len(), MENTIONS_MAX);
        assert_eq!(longer_names("ann", ".-").collect::<Vec<_>>(), ["ann.", "ann.-"]);
        assert_eq!(longer_names("ann", "").count(), 0);
    }
}
