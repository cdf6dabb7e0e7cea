//! A script cut into its words: what a minifier must know of JavaScript without understanding it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword.
    Name,
    /// `#name` of a class.
    Private,
    Number,
    /// A string or a regular expression: never touched.
    Literal,
    /// A piece of a template, with its `` ` ``, `${` and `}`: never touched.
    Template,
    Mark,
}

#[derive(Clone, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Whether it stands on another line than the one before it.
    pub new_line: bool,
}

impl Token<'_> {
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Name | Kind::Mark) && self.text == text
    }

    /// Whether this piece of a template opens a `${`.
    pub fn opens_hole(&self) -> bool {
        self.kind == Kind::Template && self.text.ends_with("${")
    }

    /// Whether this piece of a template closes one.
    pub fn closes_hole(&self) -> bool {
        self.kind == Kind::Template && self.text.starts_with('}')
    }
}

/// Marks of more than one character, the longest first.
const MARKS: &[&str] = &[
    ">>>=", "...", "**=", "===", "!==", "&&=", "||=", "??=", "<<=", ">>=", ">>>", "=>", "==", "!=", "<=",
    ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>",
    "**",
];
/// After these a `/` begins a regular expression, though they are words.
const BEFORE_VALUE: &[&str] = &[
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "void",
    "delete",
    "throw",
    "new",
    "await",
    "yield",
    "else",
    "do",
    "instanceof",
];

/// # Errors
/// Says what it does not understand, and on which line.
pub fn tokens(source: &str) -> Result<Vec<Token<'_>>, String> {
    let mut found: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    let mut new_line = false;
    // For each open brace whether it is a hole of a template.
    let mut braces: Vec<bool> = Vec::new();
    while at < source.len() {
        let rest = &source[at..];
        let first = rest.chars().next().unwrap_or(' ');
        let problem = |what: &str| {
            let line = source[..at].matches('\n').count() + 1;
            format!("line {line}: {what}")
        };
        if first.is_whitespace() {
            new_line |= first == '\n';
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or_else(|| problem("a comment without an end"))? + 2;
            new_line |= rest[..end].contains('\n');
            at += end;
            continue;
        }
        let (kind, length) = match first {
            '"' | '\'' => {
                (Kind::Literal, string(rest, first).ok_or_else(|| problem("a string without an end"))?)
            }
            '`' => (Kind::Template, piece(rest).ok_or_else(|| problem("a template without an end"))?),
            '}' if braces.last() == Some(&true) => {
                braces.pop();
                (Kind::Template, piece(rest).ok_or_else(|| problem("a template without an end"))?)
            }
            '/' if expression_follows(found.last())
                .ok_or_else(|| problem("a / behind a }: is it a division?"))? =>
            {
                (Kind::Literal, pattern(rest).ok_or_else(|| problem("a regular expression without an end"))?)
            }
            '#' => (Kind::Private, 1 + name(&rest[1..])),
            first if is_in_name(first) && !first.is_ascii_digit() => (Kind::Name, name(rest)),
            first if first.is_ascii_digit() => (Kind::Number, number(rest)),
            _ => (
                Kind::Mark,
                MARKS
                    .iter()
                    .find(|mark| rest.starts_with(**mark))
                    .map_or(first.len_utf8(), |mark| mark.len()),
            ),
        };
        let text = &rest[..length];
        if kind == Kind::Mark && text == "?." && rest[2..].starts_with(|next: char| next.is_ascii_digit()) {
            return Err(problem("a condition that looks like an optional chain: put a space behind the ?"));
        }
        match (kind, text) {
            (Kind::Mark, "{") => braces.push(false),
            (Kind::Mark, "}") => {
                braces.pop().ok_or_else(|| problem("a } too many"))?;
            }
            (Kind::Template, text) if text.ends_with("${") => braces.push(true),
            _ => {}
        }
        found.push(Token { kind, text, new_line });
        new_line = false;
        at += length;
    }
    if braces.is_empty() { Ok(found) } else { Err("a { without its }".into()) }
}

pub fn is_in_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// Whether what follows this word is a value, so that a `/` is no division; none when only a parser could say.
fn expression_follows(before: Option<&Token<'_>>) -> Option<bool> {
    let Some(before) = before else { return Some(true) };
    Some(match before.kind {
        Kind::Name => BEFORE_VALUE.contains(&before.text),
        Kind::Private | Kind::Number | Kind::Literal => false,
        Kind::Template => before.opens_hole(),
        Kind::Mark if before.text == "}" => return None,
        Kind::Mark => !matches!(before.text, ")" | "]" | "++" | "--"),
    })
}

fn name(rest: &str) -> usize {
    rest.find(|character| !is_in_name(character)).unwrap_or(rest.len())
}

fn number(rest: &str) -> usize {
    let end = |character: char| !(is_in_name(character) || character == '.');
    rest.find(end).unwrap_or(rest.len())
}

fn string(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return None,
            _ if character == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// From `` ` `` or `}` to the next `${` or `` ` ``.
fn piece(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '`' => return Some(at + 1),
            '$' if rest[at..].starts_with("${") => return Some(at + 2),
            _ => {}
        }
    }
    None
}

fn pattern(rest: &str) -> Option<usize> {
    let (mut escaped, mut in_class) = (false, false);
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return Some(at + 1 + name(&rest[at + 1..])),
            _ => {}
        }
    }
    None
}
