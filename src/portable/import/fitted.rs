//! Names and words of elsewhere, made to fit here. Pure.

use chat_actors::chat::rules;

use super::id_of;

const NAME_CHARS: usize = 32;
/// Of a room's name, and of what people read instead of theirs.
pub const ROOM_CHARS: usize = rules::ROOM_NAME_CHARS_MAX;
pub const TOPIC_CHARS: usize = rules::TOPIC_CHARS_MAX;

/// The names that are most in use; others stay as they are written, between colons.
const EMOJI: &[(&str, &str)] = &[
    ("+1", "👍"),
    ("thumbsup", "👍"),
    ("-1", "👎"),
    ("thumbsdown", "👎"),
    ("heart", "❤️"),
    ("smile", "😄"),
    ("smiley", "😃"),
    ("grinning", "😀"),
    ("slightly_smiling_face", "🙂"),
    ("laughing", "😆"),
    ("joy", "😂"),
    ("rofl", "🤣"),
    ("wink", "😉"),
    ("cry", "😢"),
    ("sob", "😭"),
    ("thinking", "🤔"),
    ("tada", "🎉"),
    ("rocket", "🚀"),
    ("eyes", "👀"),
    ("fire", "🔥"),
    ("clap", "👏"),
    ("pray", "🙏"),
    ("wave", "👋"),
    ("ok_hand", "👌"),
    ("muscle", "💪"),
    ("100", "💯"),
    ("white_check_mark", "✅"),
    ("heavy_check_mark", "✔️"),
    ("x", "❌"),
    ("warning", "⚠️"),
    ("question", "❓"),
    ("star", "⭐"),
    ("bulb", "💡"),
    ("coffee", "☕"),
];

/// A name that is too long for here is cut, with something of its own behind it.
pub fn person_name(name: &str) -> Result<String, String> {
    let lower = name.trim_start_matches('@').to_ascii_lowercase();
    let short = match lower.get(..NAME_CHARS - 7) {
        Some(begin) if lower.len() > NAME_CHARS => format!("{begin}-{}", &id_of(&[&lower])[..6]),
        _ => lower,
    };
    rules::name(&short).map_err(|_| format!("{name:?} is not a user's name"))
}

pub fn shown(display: &str, name: &str) -> String {
    let display = one_line(display, ROOM_CHARS);
    if display.is_empty() { name.to_owned() } else { display }
}

/// Without what would break a line or turn its direction, and no longer than so many characters.
pub fn one_line(text: &str, chars_max: usize) -> String {
    let text: String = text.chars().map(|c| if rules::misleads(c) { ' ' } else { c }).collect();
    let cut: String = text.trim().chars().take(chars_max).collect();
    cut.trim().to_owned()
}

pub fn emoji(name: &str) -> String {
    let known = EMOJI.iter().find(|(known, _)| *known == name).map(|(_, emoji)| (*emoji).to_owned());
    known.unwrap_or_else(|| format!(":{name}:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_to_fit() {
        assert_eq!(person_name("@Ann").unwrap(), "ann");
        let long = "a.very.long.name.of.somebody.who.has.many";
        let short = person_name(long).unwrap();
        assert!(short.len() == NAME_CHARS && short.starts_with("a.very.long.name.of.someb-"), "{short}");
        assert_ne!(short, person_name(&format!("{long}s")).unwrap());
        assert!(person_name("no one").is_err() && person_name("").is_err());
        assert_eq!(one_line(" a\nb\u{202e} \u{200f}", 9), "a b");
        assert_eq!((emoji("+1").as_str(), emoji("party_parrot").as_str()), ("👍", ":party_parrot:"));
    }
}
