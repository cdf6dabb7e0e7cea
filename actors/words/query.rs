//! What somebody looks for: phrases, all of which a message must hold.
//!
//! What stands between two blanks is a phrase: `node-1` is *node* followed by *1*. What stands between
//! quotes is one as well. A `*` behind a word leaves its end open. All else is plain text, a quote that is
//! not closed among it.

use super::cut::{Kind, cut};

/// Places told of one message; more would be of no use to who reads it.
pub const HITS_MAX: usize = 100;

/// Without a phrase it finds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    phrases: Vec<Phrase>,
}

/// Words that follow each other: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    pub keys: Vec<String>,
    /// The last one may go on.
    pub open: bool,
    /// Of what goes on only the first character is meant.
    head: bool,
}

impl Query {
    /// Whatever is typed can be read; there may be no word in it.
    pub fn read(text: &str) -> Self {
        let mut phrases: Vec<Phrase> = Vec::new();
        for (chunk, open) in chunks(text) {
            if let Some(phrase) = Phrase::read(chunk, open)
                && !phrases.contains(&phrase)
            {
                phrases.push(phrase);
            }
        }
        Self { phrases }
    }

    pub fn phrases(&self) -> &[Phrase] {
        &self.phrases
    }

    /// Where a text holds what is looked for, in UTF-16 units, from start to before end, in order.
    pub fn hits(&self, text: &str) -> Vec<(u32, u32)> {
        let mut words = Vec::new();
        cut(text, |word| words.push((word.key.to_owned(), word.start, word.head, word.end)));
        let mut hits = Vec::new();
        for phrase in &self.phrases {
            for found in words.windows(phrase.keys.len()) {
                if phrase.is(found.iter().map(|word| word.0.as_str()))
                    && let (Some(first), Some(last)) = (found.first(), found.last())
                {
                    hits.push((first.1, if phrase.head { last.2 } else { last.3 }));
                }
            }
        }
        hits.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (start, end) in hits {
            match joined.last_mut() {
                Some(before) if start <= before.1 => before.1 = before.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        joined.truncate(HITS_MAX);
        joined
    }
}

impl Phrase {
    fn read(chunk: &str, open_behind: bool) -> Option<Self> {
        let bare = chunk.trim_end_matches('*');
        let open = open_behind || bare.len() < chunk.len();
        let length = u32::try_from(bare.encode_utf16().count()).unwrap_or(u32::MAX);
        let mut keys: Vec<String> = Vec::new();
        let mut last = None;
        cut(bare, |word| {
            keys.push(word.key.to_owned());
            last = Some((word.kind, word.end == length, word.start));
        });
        let (kind, ends_it, _) = last?;
        let mut phrase = Self { keys, open: open && ends_it && kind == Kind::Letters, head: false };
        if kind == Kind::Last {
            phrase.part_of_a_run();
        }
        Some(phrase)
    }

    /// The run that ends the phrase may go on in the text: its last character need not be the run's.
    fn part_of_a_run(&mut self) {
        let single = self.keys.last().and_then(|key| key.chars().next());
        let pair = self.keys.iter().rev().nth(1);
        // Before the last one of a run comes the pair that ends with it, if the run has two.
        if pair.is_some_and(|pair| pair.chars().count() == 2 && pair.chars().next_back() == single) {
            self.keys.pop();
        } else {
            (self.open, self.head) = (true, true);
        }
    }

    fn is<'w>(&self, words: impl ExactSizeIterator<Item = &'w str>) -> bool {
        let last = self.keys.len() - 1;
        words.len() == self.keys.len()
            && words.zip(&self.keys).enumerate().all(|(place, (word, key))| {
                if place == last && self.open { word.starts_with(key.as_str()) } else { word == key }
            })
    }
}

/// What is to be read as phrases, and whether a `*` stands behind its closing quote.
fn chunks(text: &str) -> Vec<(&str, bool)> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(is_quote)
        && let Some((phrase, behind)) = inside.split_once(is_quote)
    {
        chunks.extend(before.split_whitespace().map(|chunk| (chunk, false)));
        chunks.push((phrase, behind.starts_with('*')));
        rest = behind;
    }
    chunks.extend(rest.split(is_quote).flat_map(str::split_whitespace).map(|chunk| (chunk, false)));
    chunks
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}'..='\u{201f}' | '«' | '»')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(text: &str) -> Vec<String> {
        let shown = |phrase: &Phrase| phrase.keys.join(" ") + if phrase.open { "*" } else { "" };
        Query::read(text).phrases().iter().map(shown).collect()
    }

    #[test]
    fn whatever_is_typed_is_read() {
        for (text, expected) in [
            ("", vec![]),
            (" \u{3000}\n", vec![]),
            ("* \"\" ... -", vec![]),
            ("Hello world hello", vec!["hello", "world"]),
            ("repl* Re*pl", vec!["repl*", "re pl"]),
            ("repl *", vec!["repl"]),
            ("repl-* a**", vec!["repl", "a*"]),
            ("\"Two words\" three", vec!["two words", "three"]),
            ("\"two wor*\" \"two wor\"*", vec!["two wor*"]),
            ("“two words” «a b»", vec!["two words", "a b"]),
            ("\"not closed", vec!["not", "closed"]),
            ("a\"b c\"d", vec!["a", "b c", "d"]),
            (
                "a AND b NOT (c OR d) NEAR(e) col:f ^g",
                vec!["a", "and", "b", "not", "c", "or", "d", "near e", "col f", "g"],
            ),
            ("node-1 c++ it's x_y", vec!["node 1", "c", "it s", "x y"]),
            ("日本語", vec!["日本 本語"]),
            ("語", vec!["語*"]),
            ("手机x 机", vec!["手机 机 x", "机*"]),
            ("x手机 x手", vec!["x 手机", "x 手*"]),
            ("👍🏽 👩\u{200d}💻", vec!["👍", "👩 💻"]),
        ] {
            assert_eq!(phrases(text), expected, "{text}");
        }
    }

    #[test]
    fn hits_are_told_by_their_place() {
        for (query, text, hits) in [
            ("hello", "Hello, say hello!", vec![(0, 5), (11, 16)]),
            ("hel*", "Hello 👍 help", vec![(0, 5), (9, 13)]),
            ("\"say hello\"", "Hello, say hello!", vec![(7, 16)]),
            ("本語", "日本語の本", vec![(1, 3)]),
            ("本", "日本語の本", vec![(1, 2), (4, 5)]),
            ("日本語", "日本語日本語", vec![(0, 6)]),
            ("💻", "👩\u{200d}💻", vec![(3, 5)]),
            ("strasse grüße", "Viele GRÜSSE aus der Straße 5", vec![(6, 12), (21, 27)]),
            ("zoe", "Zoe\u{308}", vec![(0, 4)]),
            ("nothing", "Hello", vec![]),
        ] {
            assert_eq!(Query::read(query).hits(text), hits, "{query} in {text}");
        }
        let many = "a b ".repeat(500);
        assert_eq!(Query::read("a").hits(&many).len(), HITS_MAX);
    }
}
