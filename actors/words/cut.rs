//! A text into words, one spelling for each.
//!
//! Upper and lower case, accents and other marks above letters, wide and narrow forms, and colours of
//! emoji make no difference. Words of scripts that write spaces are runs of letters and digits, as in
//! SQLite's `unicode61`, with the vowel signs that belong to them. Scripts without spaces (and Hangul, whose
//! particles are written on) give overlapping pairs of characters, and the last character of a run alone:
//! so any part of a run is a row of neighbouring pairs, and a single character begins a pair or is that
//! last one. Emoji and other signs are words of their own.

use std::iter;

use icu_normalizer::properties::CanonicalCompositionBorrowed;
use icu_normalizer::{DecomposingNormalizerBorrowed, properties};
use icu_properties::props::{
    DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory, RegionalIndicator, Script,
};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

/// A longer word is known by its beginning: what long runs of letters are, nobody types.
pub const KEY_BYTES_MAX: usize = 128;

const DECOMPOSED: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
const COMPOSED: CanonicalCompositionBorrowed<'static> = properties::CanonicalCompositionBorrowed::new();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::new();
const INVISIBLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
const PICTURES: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<ExtendedPictographic>();
const HALF_FLAGS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<RegionalIndicator>();

/// A word at its place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// Its one spelling: never empty, without blanks, quotes or other ASCII but letters and digits.
    pub key: &'t str,
    pub kind: Kind,
    /// From here to before there, in UTF-16 units of the text.
    pub start: u32,
    pub end: u32,
    /// The end of its first character.
    pub head: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Letters,
    Sign,
    /// Two neighbours in a run of a script without spaces.
    Pair,
    /// The last of such a run.
    Last,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

/// What a character is, once it is spelled in the one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// As if it were not there.
    Nothing,
    /// Between words.
    Gap,
    Letter,
    /// Of a script without spaces.
    Dense,
    Sign,
    HalfFlag,
}

/// Tells the words of a text, in their order.
pub fn cut(text: &str, tell: impl FnMut(Word<'_>)) {
    let mut cutter =
        Cutter { tell, key: String::new(), word: String::new(), span: NOWHERE, run: None, sign: None };
    let mut at = 0;
    for c in text.chars() {
        let span = Span { start: at, end: at + if c.len_utf16() == 2 { 2 } else { 1 } };
        at = span.end;
        if c.is_ascii() {
            cutter.ascii(c, span);
        } else {
            DECOMPOSED.normalize_iter(iter::once(c)).for_each(|part| cutter.take(part, span));
        }
    }
    cutter.gap();
}

const NOWHERE: Span = Span { start: 0, end: 0 };

struct Cutter<F> {
    tell: F,
    /// Scratch.
    key: String,
    /// Letters so far, and where they are.
    word: String,
    span: Span,
    /// The end of a run that is not over yet.
    run: Option<Run>,
    /// A sign, to which skin or form may yet be added.
    sign: Option<Sign>,
}

/// Its last two characters: of the last one a voice mark or the rest of a syllable may be yet to come.
#[derive(Clone, Copy)]
struct Run {
    before: Option<(char, Span)>,
    last: (char, Span),
}

#[derive(Clone, Copy)]
struct Sign {
    first: char,
    /// The other half of a flag.
    second: Option<char>,
    span: Span,
}

impl<F: FnMut(Word<'_>)> Cutter<F> {
    fn ascii(&mut self, c: char, span: Span) {
        if c.is_ascii_alphanumeric() { self.letter(c.to_ascii_lowercase(), span) } else { self.gap() }
    }

    fn take(&mut self, c: char, span: Span) {
        if c.is_ascii() {
            return self.ascii(c, span);
        }
        if self.joins_run(c, span) {
            return;
        }
        match class(c) {
            Class::Nothing => self.goes_on(span),
            Class::Gap => self.gap(),
            Class::Letter => c.to_lowercase().for_each(|lower| self.lower(lower, span)),
            Class::Dense => self.dense(c, span),
            Class::Sign => self.sign(c, span),
            Class::HalfFlag => self.half_flag(c, span),
        }
    }

    /// Voice marks of kana and the parts of a Hangul syllable become one with what stands before them.
    fn joins_run(&mut self, c: char, span: Span) -> bool {
        let Some(Run { last: (before, place), .. }) = &mut self.run else { return false };
        let Some(both) = COMPOSED.compose(*before, c) else { return false };
        *before = both;
        place.end = span.end;
        true
    }

    /// What is as if it were not there still belongs to what stands before it.
    fn goes_on(&mut self, span: Span) {
        if let Some(sign) = &mut self.sign {
            sign.span.end = span.end;
        } else if let Some(run) = &mut self.run {
            run.last.1.end = span.end;
        } else if !self.word.is_empty() {
            self.span.end = span.end;
        }
    }

    fn lower(&mut self, c: char, span: Span) {
        match c {
            'ß' => {
                self.letter('s', span);
                self.letter('s', span);
            }
            'ς' => self.letter('σ', span),
            c if !c.is_ascii() && class(c) != Class::Letter => {}
            c => self.letter(c, span),
        }
    }

    fn letter(&mut self, c: char, span: Span) {
        self.end_run();
        self.end_sign();
        if self.word.is_empty() {
            self.span = span;
        }
        self.span.end = span.end;
        if self.word.len() + c.len_utf8() <= KEY_BYTES_MAX {
            self.word.push(c);
        }
    }

    fn dense(&mut self, c: char, span: Span) {
        self.end_word();
        self.end_sign();
        let before = self.run.map(|run| run.last);
        self.tell_pair();
        self.run = Some(Run { before, last: (c, span) });
    }

    fn tell_pair(&mut self) {
        if let Some(Run { before: Some((first, place)), last: (second, span) }) = self.run {
            self.tell(&[first, second], Kind::Pair, place.start, span.end, place.end);
        }
    }

    fn sign(&mut self, first: char, span: Span) {
        self.gap();
        self.sign = Some(Sign { first, second: None, span });
    }

    fn half_flag(&mut self, c: char, span: Span) {
        match &mut self.sign {
            Some(Sign { first, second: second @ None, span: place }) if HALF_FLAGS.contains(*first) => {
                *second = Some(c);
                place.end = span.end;
            }
            _ => self.sign(c, span),
        }
    }

    fn gap(&mut self) {
        self.end_word();
        self.end_run();
        self.end_sign();
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            let Span { start, end } = self.span;
            (self.tell)(Word { key: &self.word, kind: Kind::Letters, start, end, head: end });
            self.word.clear();
        }
    }

    fn end_run(&mut self) {
        self.tell_pair();
        if let Some(Run { last: (c, Span { start, end }), .. }) = self.run.take() {
            self.tell(&[c], Kind::Last, start, end, end);
        }
    }

    fn end_sign(&mut self) {
        if let Some(Sign { first, second, span: Span { start, end } }) = self.sign.take() {
            match second {
                Some(second) => self.tell(&[first, second], Kind::Sign, start, end, end),
                None => self.tell(&[first], Kind::Sign, start, end, end),
            }
        }
    }

    fn tell(&mut self, key: &[char], kind: Kind, start: u32, end: u32, head: u32) {
        self.key.clear();
        self.key.extend(key);
        (self.tell)(Word { key: &self.key, kind, start, end, head });
    }
}

fn class(c: char) -> Class {
    use GeneralCategory as G;
    if INVISIBLE.contains(c) || is_skin(c) {
        return Class::Nothing;
    }
    match CATEGORIES.get(c) {
        G::NonspacingMark | G::EnclosingMark if is_accent(c) => Class::Nothing,
        G::UppercaseLetter
        | G::LowercaseLetter
        | G::TitlecaseLetter
        | G::ModifierLetter
        | G::OtherLetter
        | G::DecimalNumber
        | G::LetterNumber
        | G::OtherNumber
        | G::NonspacingMark
        | G::SpacingMark
        | G::EnclosingMark => {
            if is_dense(c) {
                Class::Dense
            } else {
                Class::Letter
            }
        }
        _ if HALF_FLAGS.contains(c) => Class::HalfFlag,
        // The slash of ½, and what stands for a character that could not be read.
        G::OtherSymbol | G::MathSymbol if matches!(c, '\u{2044}' | '\u{fffc}' | '\u{fffd}') => Class::Gap,
        G::OtherSymbol | G::CurrencySymbol | G::MathSymbol => Class::Sign,
        _ if PICTURES.contains(c) => Class::Sign,
        _ => Class::Gap,
    }
}

/// Marks that a word is also written without.
fn is_accent(mark: char) -> bool {
    matches!(
        SCRIPTS.get(mark),
        Script::Inherited
            | Script::Hebrew
            | Script::Arabic
            | Script::Syriac
            | Script::Cyrillic
            | Script::Greek
    )
}

/// Scripts whose words are not parted by spaces.
fn is_dense(c: char) -> bool {
    match SCRIPTS.get(c) {
        Script::Han
        | Script::Hiragana
        | Script::Katakana
        | Script::Hangul
        | Script::Bopomofo
        | Script::Yi
        | Script::Thai
        | Script::Lao
        | Script::Khmer
        | Script::Myanmar
        | Script::TaiLe
        | Script::NewTaiLue
        | Script::TaiTham
        | Script::TaiViet => true,
        // The long vowel of kana, and the like.
        Script::Common => matches!(c, '\u{3000}'..='\u{30ff}'),
        _ => false,
    }
}

fn is_skin(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let mut keys = Vec::new();
        cut(text, |word| keys.push(word.key.to_owned()));
        keys
    }

    #[test]
    fn words_are_spelled_in_one_way() {
        for (text, expected) in [
            ("", vec![]),
            (" \n", vec![]),
            ("Hello, World_2!", vec!["hello", "world", "2"]),
            ("Grüße STRASSE Straße", vec!["grusse", "strasse", "strasse"]),
            ("Zoë Zoe\u{308} ÉTÉ Ångström", vec!["zoe", "zoe", "ete", "angstrom"]),
            ("ΛΌΓΟΣ λόγος", vec!["λογοσ", "λογοσ"]),
            ("Ёлка Й", vec!["елка", "и"]),
            ("İstanbul", vec!["istanbul"]),
            ("ｆｕｌｌ ﬁne ①", vec!["full", "fine", "1"]),
            ("हिन्दी में", vec!["हिन्दी", "में"]),
            ("مُحَمَّد محمد", vec!["محمد", "محمد"]),
            ("שָׁלוֹם", vec!["שלום"]),
            ("می\u{200c}خواهم", vec!["میخواهم"]),
            ("soft\u{ad}ware", vec!["software"]),
            ("12.5 ½ x²", vec!["12", "5", "1", "2", "x2"]),
            ("a\u{fffd}b\u{e000}c", vec!["a", "b", "c"]),
        ] {
            assert_eq!(keys(text), expected, "{text}");
        }
    }

    #[test]
    fn runs_without_spaces_are_pairs_and_a_last_one() {
        for (text, expected) in [
            ("日", vec!["日"]),
            ("日本語", vec!["日本", "本語", "語"]),
            ("のメッセージ", vec!["のメ", "メッ", "ッセ", "セー", "ージ", "ジ"]),
            ("iPhone手机2台", vec!["iphone", "手机", "机", "2", "台"]),
            ("日本。語", vec!["日本", "本", "語"]),
            ("서버가", vec!["서버", "버가", "가"]),
            ("ภาษา", vec!["ภา", "าษ", "ษา", "า"]),
            // Parts of a syllable, a voice mark of its own, narrow kana.
            ("\u{1112}\u{1161}\u{11ab}", vec!["한"]),
            ("か\u{3099}", vec!["が"]),
            ("ｶﾞｰ", vec!["ガー", "ー"]),
        ] {
            assert_eq!(keys(text), expected, "{text}");
        }
    }

    #[test]
    fn signs_are_words() {
        for (text, expected) in [
            ("👍🏽👍 ok", vec!["👍", "👍", "ok"]),
            ("👩\u{200d}💻", vec!["👩", "💻"]),
            ("❤\u{fe0f}", vec!["❤"]),
            ("🇩🇪🇫🇷", vec!["🇩🇪", "🇫🇷"]),
            ("🇩 🇪", vec!["🇩", "🇪"]),
            ("5€→6", vec!["5", "€", "→", "6"]),
            ("‼", vec![]),
        ] {
            assert_eq!(keys(text), expected, "{text}");
        }
    }

    #[test]
    fn places_are_in_utf_16() {
        let mut places = Vec::new();
        cut("👍 Zoe\u{308}! 日本", |word| {
            places.push((word.key.to_owned(), word.start, word.head, word.end));
        });
        let expected = [("👍", 0, 2, 2), ("zoe", 3, 7, 7), ("日本", 9, 10, 11), ("本", 10, 11, 11)];
        assert_eq!(places, expected.map(|(key, start, head, end)| (key.to_owned(), start, head, end)));
    }

    #[test]
    fn a_long_word_is_known_by_its_beginning() {
        let long = "ä".repeat(500);
        assert_eq!(keys(&long), ["a".repeat(KEY_BYTES_MAX)]);
    }
}
