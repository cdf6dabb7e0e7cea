//! The form of names, texts and ids, checked by whoever takes a request in, before it is proposed.
//!
//! A check gives back the value as it is to be stored, or a refusal that says what is wrong and what to
//! do. Apply checks none of this again: it must not depend on settings or on Unicode tables.

use std::ops::RangeInclusive;

use super::command::Shown;
use super::outcome::{Code, Refusal};
use crate::ids::{FileId, NotAFileId, RoomId, Seq};

pub const ID_CHARS_MAX: usize = 64;
pub const NAME_CHARS_MAX: usize = 32;
pub const PASSWORD_BYTES_MIN: usize = 8;
pub const PASSWORD_BYTES_MAX: usize = 256;
pub const DISPLAY_CHARS_MAX: usize = 64;
pub const ROOM_NAME_CHARS_MAX: usize = 64;
pub const TOPIC_CHARS_MAX: usize = 256;
/// Some emoji are long: a couple with two skin tones takes 35 bytes.
pub const EMOJI_BYTES_MAX: usize = 64;
pub const SEQS_MAX: usize = 100;
/// Files of one message.
pub const FILES_MAX: usize = 20;
/// How many people a direct conversation has, whoever opens it included.
pub const DIRECT_USERS: RangeInclusive<usize> = 2..=9;
pub const PAGE_DEFAULT: usize = 50;
pub const PAGE_MAX: usize = 200;
pub const FOUND_DEFAULT: usize = 20;
pub const FOUND_MAX: usize = 100;
pub const SOUGHT_CHARS_MAX: usize = 256;
pub const PATTERN_CHARS_MAX: usize = 128;
/// How often an invitation may be used, at most.
pub const USES_MAX: u64 = 1_000;
/// How long an invitation is good, when nothing is said, and at most: a week, a year.
pub const INVITE_HOURS: u64 = 7 * 24;
pub const INVITE_HOURS_MAX: u64 = 366 * 24;
pub const URL_BYTES_MAX: usize = 2_048;
pub const AGENT_CHARS_MAX: usize = 160;
/// Numbers stay below what JSON readers hold exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// The most versions that a message is brought with: there is room behind it for edits.
pub const VERSION_MAX: u64 = u32::MAX as u64;

pub type Checked<V> = Result<V, Refusal>;

/// A request's own id: 1 to 64 printable ASCII characters, the space among them.
pub fn id(id: &str) -> Checked<()> {
    let printable = id.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    check(
        printable && (1..=ID_CHARS_MAX).contains(&id.len()),
        "id must be 1 to 64 printable ascii characters",
    )
}

/// What a bot can be allowed to do.
const RIGHTS: [&str; 3] = ["read", "write", "rooms"];

/// A user's name, folded to lower case.
pub fn name(name: &str) -> Checked<String> {
    let folded = name.to_ascii_lowercase();
    let good = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let fits = (1..=NAME_CHARS_MAX).contains(&folded.len()) && folded.bytes().all(good);
    check(fits, "name must be 1 to 32 characters of a-z 0-9 . _ -")?;
    Ok(folded)
}

pub fn password(password: &str) -> Checked<()> {
    let fits = (PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len());
    check(fits, "password must be 8 to 256 bytes long")
}

/// What people read instead of the name; none, or a blank one, is the name as it was typed.
pub fn display(display: Option<&str>, typed_name: &str) -> Checked<String> {
    let display = display.map(str::trim).filter(|display| !display.is_empty()).unwrap_or(typed_name);
    one_line(display, DISPLAY_CHARS_MAX, "display must be 1 to 64 characters on one line")
}

pub fn room_name(name: &str) -> Checked<String> {
    let wrong = "name must be 1 to 64 characters on one line";
    check(!name.trim().is_empty(), wrong)?;
    one_line(name.trim(), ROOM_NAME_CHARS_MAX, wrong)
}

/// May be empty.
pub fn topic(topic: &str) -> Checked<String> {
    one_line(topic.trim(), TOPIC_CHARS_MAX, "topic must be at most 256 characters on one line")
}

/// A message's text.
pub fn text(text: &str, message_bytes: usize) -> Checked<()> {
    if text.len() > message_bytes {
        let message = format!("text is {} bytes, at most {message_bytes} are taken: split it", text.len());
        return Err(Refusal::new(Code::TooLarge, message));
    }
    check(!text.contains('\0'), "text must not contain a NUL character")?;
    check(!text.chars().all(char::is_whitespace), "text must not be empty or only white space")
}

/// How often an invitation may be used, and for how many hours.
pub fn invite(uses: Option<u64>, hours: Option<u64>) -> Checked<(u64, u64)> {
    let (uses, hours) = (uses.unwrap_or(1), hours.unwrap_or(INVITE_HOURS));
    check((1..=USES_MAX).contains(&uses), "uses must be a whole number from 1 to 1000")?;
    check((1..=INVITE_HOURS_MAX).contains(&hours), "hours must be a whole number from 1 to 8784")?;
    Ok((uses, hours))
}

/// What a session or an invitation is named by.
pub fn shown(text: &str, otherwise: &str) -> Checked<Shown> {
    let mut shown = Shown::default();
    check(hex::decode_to_slice(text, &mut shown).is_ok(), otherwise)?;
    Ok(shown)
}

/// The form of an address to post to; whom it names is looked at elsewhere.
pub fn url(url: &str) -> Checked<()> {
    let printable = url.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    check(
        printable && url.len() <= URL_BYTES_MAX,
        "url must be at most 2048 printable ascii characters without blanks",
    )?;
    let lower = url.to_ascii_lowercase();
    check(
        lower.starts_with("http://") || lower.starts_with("https://"),
        "url must begin with http:// or https:// and name a host, without a name, a password or a #",
    )
}

/// What a bot may do: sorted, each once.
pub fn rights(rights: &[String]) -> Checked<Vec<String>> {
    let known = |right: &String| RIGHTS.contains(&right.as_str());
    check(
        !rights.is_empty() && rights.len() <= RIGHTS.len() && rights.iter().all(known),
        "rights must be one or more of read, write and rooms, each once",
    )?;
    let mut rights = rights.to_vec();
    rights.sort();
    rights.dedup();
    Ok(rights)
}

/// What a program says of itself, made fit to be shown: never refused.
pub fn agent(said: &str) -> String {
    said.chars().filter(|c| !misleads(*c)).take(AGENT_CHARS_MAX).collect()
}

/// A message's text beside files: it may be empty.
pub fn caption(text: &str, message_bytes: usize) -> Checked<()> {
    if text.is_empty() { Ok(()) } else { self::text(text, message_bytes) }
}

pub fn file(file: &str) -> Checked<FileId> {
    file.parse().map_err(|error: NotAFileId| Refusal::new(Code::BadRequest, error.to_string()))
}

pub fn emoji(emoji: &str) -> Checked<()> {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let fits = (1..=EMOJI_BYTES_MAX).contains(&emoji.len()) && !emoji.contains(blank);
    check(fits, "emoji must be 1 to 64 bytes without blanks")
}

pub fn room(number: u64) -> Checked<RoomId> {
    check((1..=NUMBER_MAX).contains(&number), "room must be a positive integer below 2^53")?;
    Ok(RoomId(number))
}

/// A message's place. Any whole number is one: that nothing is there is for apply to say.
pub fn seq(number: u64) -> Seq {
    Seq(number.min(NUMBER_MAX))
}

pub fn seqs(seqs: &[u64]) -> Checked<Vec<Seq>> {
    check((1..=SEQS_MAX).contains(&seqs.len()), "seqs must be a list of 1 to 100 numbers")?;
    Ok(seqs.iter().copied().map(seq).collect())
}

/// Everybody in a direct conversation, the asker included, sorted. Names are folded; a name that
/// stands twice, or is the asker's own, counts once.
pub fn direct_users(asker: &str, others: &[String]) -> Checked<Vec<String>> {
    let wrong = "users must be 1 to 8 names of other people";
    check(others.len() <= *DIRECT_USERS.end(), wrong)?;
    let mut users = others.iter().map(|other| name(other)).collect::<Checked<Vec<_>>>()?;
    users.push(asker.to_owned());
    users.sort_unstable();
    users.dedup();
    check(DIRECT_USERS.contains(&users.len()), wrong)?;
    Ok(users)
}

/// How many are asked for: 50 when nothing is said, else clamped to 1 to 200.
pub fn limit(asked: Option<i64>) -> usize {
    clamped(asked, PAGE_DEFAULT, PAGE_MAX)
}

/// The same for a search: 20, and 1 to 100.
pub fn search_limit(asked: Option<i64>) -> usize {
    clamped(asked, FOUND_DEFAULT, FOUND_MAX)
}

fn clamped(asked: Option<i64>, otherwise: usize, max: usize) -> usize {
    asked.map_or(otherwise, |asked| usize::try_from(asked.max(1)).unwrap_or(max).min(max))
}

/// What is looked for.
pub fn sought(text: &str) -> Checked<()> {
    check(!text.trim().is_empty(), "text must hold something to look for")?;
    check(text.chars().count() <= SOUGHT_CHARS_MAX, "text must be at most 256 characters")
}

/// The `match` of a list.
pub fn pattern(pattern: &str) -> Checked<()> {
    check(pattern.chars().count() <= PATTERN_CHARS_MAX, "match must be at most 128 characters")
}

/// Whether a whole name matches a pattern in which `*` stands for any run of characters and `?` for one.
/// Upper and lower case differ. Takes at most (name × pattern) steps, whatever the pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on from when a run turns out to be longer: behind the last `*`, and at the next
    // character of the name. An earlier `*` needs no second try, since the last one can take as much.
    let mut longer_run = None;
    loop {
        let (mut next_pattern, mut next_name) = (pattern.clone(), name.clone());
        match (next_pattern.next(), next_name.next()) {
            (Some('*'), _) => {
                pattern = next_pattern;
                longer_run = Some((pattern.clone(), name.clone()));
                continue;
            }
            (Some(p), Some(n)) if p == '?' || p == n => {
                (pattern, name) = (next_pattern, next_name);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((behind_star, run_end)) = &mut longer_run else { return false };
        if run_end.next().is_none() {
            return false;
        }
        (pattern, name) = (behind_star.clone(), run_end.clone());
    }
}

fn check(good: bool, otherwise: &str) -> Checked<()> {
    if good { Ok(()) } else { Err(Refusal::new(Code::BadRequest, otherwise)) }
}

fn one_line(text: &str, chars_max: usize, otherwise: &str) -> Checked<String> {
    check(text.chars().count() <= chars_max && !text.contains(misleads), otherwise)?;
    Ok(text.to_owned())
}

/// Characters that would let a name pass for something else: controls, line ends, and those that turn
/// the direction of what stands beside them.
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a table of inputs and whether they are good.
    fn table<V>(check: impl Fn(&str) -> Checked<V>, rows: &[(&str, bool)]) {
        for (input, good) in rows {
            assert_eq!(check(input).is_ok(), *good, "{input:?}");
        }
    }

    #[test]
    fn ids() {
        let (longest, too_long) = ("x".repeat(64), "x".repeat(65));
        let rows =
            [("1", true), ("a b~", true), ("", false), ("é", false), ("\u{7f}", false), ("a\n", false)];
        table(id, &rows);
        table(id, &[(&longest, true), (&too_long, false)]);
    }

    #[test]
    fn names() {
        let (longest, too_long) = ("x".repeat(32), "x".repeat(33));
        table(name, &[("ann", true), ("a.b_c-9", true), ("", false), ("a b", false), ("änn", false)]);
        table(
            name,
            &[("a\n", false), (" ann", false), (&longest, true), (&too_long, false), ("\u{212a}", false)],
        );
        assert_eq!(name("Ann").unwrap(), "ann");
    }

    #[test]
    fn passwords_count_bytes() {
        let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
        table(password, &[("12345678", true), ("1234567", false), ("äöüß", true), ("äöü", false)]);
        table(password, &[(&longest, true), (&too_long, false)]);
    }

    #[test]
    fn displays() {
        assert_eq!(display(None, "Ann").unwrap(), "Ann");
        assert_eq!(display(Some(" "), "Ann").unwrap(), "Ann");
        assert_eq!(display(Some(" Ann B. "), "ann").unwrap(), "Ann B.");
        let (longest, too_long) = ("é".repeat(64), "é".repeat(65));
        table(|input| display(Some(input), "x"), &[(&longest, true), (&too_long, false), ("a\tb", false)]);
        table(|input| display(Some(input), "x"), &[("a\u{202e}b", false), ("👩\u{200d}💻", true)]);
        let marks = [("a\u{61c}b", false), ("a\u{200e}b", false), ("a\u{200f}b", false)];
        table(|input| display(Some(input), "x"), &marks);
        table(room_name, &marks);
    }

    #[test]
    fn room_names_and_topics() {
        let (longest, too_long) = ("日".repeat(64), "日".repeat(65));
        table(room_name, &[("a", true), ("", false), (" ", false), (&longest, true), (&too_long, false)]);
        table(room_name, &[("a\nb", false), ("a\0", false), ("a\u{2028}b", false)]);
        assert_eq!(room_name(" a b ").unwrap(), "a b");
        let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
        table(topic, &[("", true), (" ", true), (&longest, true), (&too_long, false), ("a\nb", false)]);
    }

    #[test]
    fn texts() {
        let rows = [("a", true), ("", false), (" \n\u{3000}", false), ("a\0", false), ("12345678", true)];
        table(|input| text(input, 8), &rows);
        assert_eq!(text("123456789", 8).unwrap_err().code, Code::TooLarge);
        assert_eq!(text("日本語", 8).unwrap_err().code, Code::TooLarge);
        assert_eq!(text("", 8).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn invitations_and_what_they_are_named_by() {
        assert_eq!(invite(None, None).unwrap(), (1, 168));
        assert_eq!(invite(Some(1_000), Some(8_784)).unwrap(), (1_000, 8_784));
        for (uses, hours) in [(0, 1), (1_001, 1), (1, 0), (1, 8_785)] {
            assert!(invite(Some(uses), Some(hours)).is_err());
        }
        assert_eq!(shown("00ff00ff00ff0102", "").unwrap(), [0, 255, 0, 255, 0, 255, 1, 2]);
        table(|input| shown(input, "no"), &[("", false), ("00ff", false), ("00ff00ff00ff010g", false)]);
    }

    #[test]
    fn what_a_program_says_of_itself_is_cut() {
        assert_eq!(agent("a\nb\u{202e}c"), "abc");
        assert_eq!(agent(&"é".repeat(200)).chars().count(), AGENT_CHARS_MAX);
    }

    #[test]
    fn files_and_what_stands_beside_them() {
        let good = "0123456789abcdefABCDEF".repeat(3)[..64].to_owned();
        table(file, &[(&good, true), (&good[1..], false), (&"g".repeat(64), false), ("", false)]);
        assert_eq!(file(&good).unwrap().to_string(), good.to_lowercase());
        table(|input| caption(input, 8), &[("", true), ("a", true), (" ", false), ("123456789", false)]);
    }

    #[test]
    fn emojis() {
        let rows = [("👍", true), ("👩🏽‍❤️‍💋‍👨🏿", true), ("+1", true), ("", false), (" ", false), ("a\n", false)];
        table(emoji, &rows);
        assert!(emoji(&"👍".repeat(17)).is_err());
    }

    #[test]
    fn rooms_and_lists() {
        assert!(room(0).is_err() && room(1 << 53).is_err());
        assert_eq!(room((1 << 53) - 1).unwrap().0, (1 << 53) - 1);
        assert!(seqs(&[]).is_err() && seqs(&[1; 101]).is_err());
        assert_eq!(seq(u64::MAX), Seq((1 << 53) - 1));
        assert_eq!(seqs(&[3, 3]).unwrap(), [Seq(3), Seq(3)]);
    }

    #[test]
    fn people_of_a_direct_conversation() {
        let open = |others: &[&str]| {
            direct_users("bob", &others.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(open(&["Cleo", "ann", "cleo", "bob"]).unwrap(), ["ann", "bob", "cleo"]);
        assert!(open(&[]).is_err());
        assert!(open(&["bob"]).is_err());
        assert!(open(&["no one"]).is_err());
        assert!(open(&["a", "b", "c", "d", "e", "f", "g", "h"]).is_ok());
        assert!(open(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]).is_err());
    }

    #[test]
    fn limits_are_clamped() {
        let rows = [(None, 50), (Some(0), 1), (Some(-1), 1), (Some(7), 7), (Some(201), 200)];
        for (asked, given) in rows {
            assert_eq!(limit(asked), given);
        }
        assert_eq!(limit(Some(i64::MAX)), 200);
        for (asked, given) in [(None, 20), (Some(0), 1), (Some(7), 7), (Some(101), 100)] {
            assert_eq!(search_limit(asked), given);
        }
        assert!(sought(&"é".repeat(256)).is_ok() && sought(&"é".repeat(257)).is_err());
    }

    #[test]
    fn patterns() {
        let rows = [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "A", false),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "abc", true),
            ("?", "é", true),
            ("?", "", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("*b*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a**?", "a", false),
            ("*ab?d*", "xabcabxdy", true),
            ("*a*b*c*", "cba", false),
            ("[a]", "a", false),
        ];
        for (pattern, name, good) in rows {
            assert_eq!(matches(pattern, name), good, "{pattern} {name}");
        }
        let hard = "*a".repeat(60) + "*b";
        assert!(!matches(&hard, &"a".repeat(10_000)));
    }
}
