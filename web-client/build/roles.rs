//! What each name of a script is: a variable, a property, a keyword. That is known from the marks around it, as
//! long as the script is written plainly; what is not understood is an error.

use std::collections::{HashMap, HashSet};

use super::tokens::{Kind, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No name, or one that means something by itself.
    Fixed,
    Property,
    Variable,
    /// `a` in `{ a }` or `{ a = 1 }`: a property and a variable at once.
    Shorthand,
    /// `a` in `import { a }`.
    Import,
}

/// What a brace holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Statements; whether an arrow stands before them.
    Block {
        arrow: bool,
    },
    /// An object or a pattern.
    Object,
    Class,
    Specifiers,
    Hole,
    Round,
    Square,
}

pub struct Roles {
    pub roles: Vec<Role>,
    /// For each `}` what it closes.
    pub closes: Vec<Option<Frame>>,
    /// Variables that the script itself declares, and in how many places.
    pub declared: HashMap<String, usize>,
    /// Those of them that the whole script sees.
    pub top: HashSet<String>,
    /// Variables that others know by their name.
    pub exported: HashSet<String>,
}

const KEYWORDS: &[&str] = &[
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "else",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "let",
    "new",
    "null",
    "of",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "undefined",
    "var",
    "void",
    "while",
    "yield",
];
const MODIFIERS: &[&str] = &["async", "get", "set", "static"];
/// In front of a `(` that is no list of parameters, though a `{` follows it.
const CONDITIONS: &[&str] = &["if", "for", "while", "switch", "await"];

struct Open {
    frame: Frame,
    start: usize,
    /// In an object or class: whether a key comes next.
    key: bool,
    /// In a block: whether a `:` ends a case.
    case: bool,
}

/// # Errors
/// Says what it does not understand.
pub fn roles(tokens: &[Token<'_>]) -> Result<Roles, String> {
    let mut reading = Reading {
        tokens,
        open: Vec::new(),
        class: false,
        module: false,
        case_colon: None,
        out: Roles {
            roles: vec![Role::Fixed; tokens.len()],
            closes: vec![None; tokens.len()],
            declared: HashMap::new(),
            top: HashSet::new(),
            exported: HashSet::new(),
        },
        lists: Vec::new(),
    };
    for at in 0..tokens.len() {
        reading.step(at)?;
    }
    for (start, top) in std::mem::take(&mut reading.lists) {
        reading.bind(start, top);
    }
    Ok(reading.out)
}

struct Reading<'a, 'b> {
    tokens: &'a [Token<'b>],
    open: Vec<Open>,
    /// Whether a `class` waits for its brace.
    class: bool,
    /// Inside an `import` or `export … from`.
    module: bool,
    case_colon: Option<usize>,
    out: Roles,
    /// Where lists of new variables begin, parameters and declarations, and whether at the top of the script.
    lists: Vec<(usize, bool)>,
}

impl Reading<'_, '_> {
    fn step(&mut self, at: usize) -> Result<(), String> {
        let token = &self.tokens[at];
        if token.closes_hole() {
            self.open.pop();
        }
        match token.kind {
            Kind::Name => self.name(at),
            Kind::Mark => self.mark(at)?,
            Kind::Template if token.opens_hole() => {}
            Kind::Literal if self.module => self.module = false,
            _ => self.past_key(),
        }
        if token.opens_hole() {
            self.push(Frame::Hole, at);
        }
        Ok(())
    }

    fn name(&mut self, at: usize) {
        let text = self.tokens[at].text;
        let before = at.checked_sub(1).map(|before| &self.tokens[before]);
        let next = self.tokens.get(at + 1);
        let next_is = |text: &str| next.is_some_and(|next| next.is(text));
        if before.is_some_and(|before| before.is(".") || before.is("?.")) {
            self.out.roles[at] = Role::Property;
            return;
        }
        if let Some(top) = self.open.last().filter(|top| top.key)
            && matches!(top.frame, Frame::Object | Frame::Class)
        {
            let followed = next.is_some_and(|next| {
                matches!(next.kind, Kind::Name | Kind::Private | Kind::Literal)
                    || next.is("[")
                    || next.is("*")
                    || next.is("{")
            });
            if MODIFIERS.contains(&text) && followed {
                return;
            }
            let object = top.frame == Frame::Object;
            self.out.roles[at] =
                if !object || next_is(":") || next_is("(") { Role::Property } else { Role::Shorthand };
            self.past_key();
            return;
        }
        if self.open.last().is_some_and(|top| top.frame == Frame::Specifiers) {
            if before.is_some_and(|before| before.is("as")) {
                self.out.roles[at] = Role::Variable;
                self.declare(text, true);
            } else if text != "as" {
                let renamed = next_is("as");
                self.out.roles[at] = if renamed { Role::Property } else { Role::Import };
            }
            return;
        }
        if self.module && (text == "from" || text == "as") {
            return;
        }
        match text {
            "import" if !next_is("(") && !next_is(".") => self.module = true,
            "export" => self.exports(at),
            "class" => {
                self.class = true;
                self.declares(at + 1);
            }
            "function" => self.declares(at + 1 + usize::from(next_is("*"))),
            "const" | "let" | "var" => self.lists.push((at + 1, self.open.is_empty())),
            "case" | "default" => {
                if let Some(top) = self.open.last_mut() {
                    top.case = true;
                }
            }
            _ => {}
        }
        let word = match text {
            "async" => next.is_some_and(|next| next.kind == Kind::Name || next.is("(")),
            "of" => next.is_some_and(|next| next.kind != Kind::Mark || next.is("[") || next.is("(")),
            _ => KEYWORDS.contains(&text),
        };
        if word {
            return;
        }
        self.out.roles[at] = Role::Variable;
        if next_is("=>") {
            self.declare(text, false);
        }
    }

    fn mark(&mut self, at: usize) -> Result<(), String> {
        let text = self.tokens[at].text;
        match text {
            "{" => {
                let frame = self.brace(at)?;
                self.push(frame, at);
            }
            "(" => self.push(Frame::Round, at),
            "[" => {
                self.past_key();
                self.push(Frame::Square, at);
            }
            "}" | ")" | "]" => {
                let closed = self.open.pop().ok_or("a bracket too many")?;
                self.out.closes[at] = Some(closed.frame);
                if text == ")" && self.has_parameters(closed.start, at) {
                    self.lists.push((closed.start + 1, false));
                }
                if text == "}"
                    && let Some(top) = self.open.last_mut().filter(|top| top.frame == Frame::Class)
                {
                    top.key = true;
                }
            }
            "," => {
                if let Some(top) = self.open.last_mut().filter(|top| top.frame == Frame::Object) {
                    top.key = true;
                }
            }
            ";" => {
                self.module = false;
                if let Some(top) = self.open.last_mut() {
                    top.key = top.frame == Frame::Class;
                }
            }
            ":" => {
                if let Some(top) =
                    self.open.last_mut().filter(|top| top.case && matches!(top.frame, Frame::Block { .. }))
                {
                    top.case = false;
                    self.case_colon = Some(at);
                }
            }
            "*" => {}
            _ => self.past_key(),
        }
        Ok(())
    }

    fn push(&mut self, frame: Frame, start: usize) {
        self.open.push(Open {
            frame,
            start,
            key: matches!(frame, Frame::Object | Frame::Class),
            case: false,
        });
    }

    fn past_key(&mut self) {
        if let Some(top) = self.open.last_mut() {
            top.key = false;
        }
    }

    /// What the brace at this place holds.
    fn brace(&mut self, at: usize) -> Result<Frame, String> {
        let block = Frame::Block { arrow: false };
        if std::mem::take(&mut self.class) {
            return Ok(Frame::Class);
        }
        let Some(before) = at.checked_sub(1).map(|before| &self.tokens[before]) else { return Ok(block) };
        Ok(match (before.kind, before.text) {
            (Kind::Mark, ")" | ";" | "{" | "}") => block,
            (Kind::Mark, "=>") => Frame::Block { arrow: true },
            (Kind::Mark, ":") if self.case_colon == Some(at - 1) => block,
            (Kind::Mark, "]") => return Err("a { behind a ]".into()),
            (Kind::Mark, _) | (Kind::Template, _) => Frame::Object,
            (Kind::Name, "else" | "try" | "finally" | "do" | "catch" | "static") => block,
            (Kind::Name, "import" | "export") => Frame::Specifiers,
            (Kind::Name, word) if KEYWORDS.contains(&word) => Frame::Object,
            (_, word) => return Err(format!("a {{ behind {word}")),
        })
    }

    fn declares(&mut self, at: usize) {
        if let Some(name) =
            self.tokens.get(at).filter(|token| token.kind == Kind::Name && !token.is("extends"))
        {
            self.declare(name.text, self.open.is_empty());
        }
    }

    fn declare(&mut self, name: &str, top: bool) {
        *self.out.declared.entry(name.to_owned()).or_default() += 1;
        if top {
            self.out.top.insert(name.to_owned());
        }
    }

    fn exports(&mut self, at: usize) {
        let mut rest = self.tokens[at + 1..].iter();
        let skipped = ["async", "function", "*", "class", "const", "let", "default"];
        if let Some(name) = rest
            .find(|token| !skipped.iter().any(|word| token.is(word)))
            .filter(|token| token.kind == Kind::Name)
        {
            self.out.exported.insert(name.text.to_owned());
        }
    }

    /// Whether these brackets hold parameters: of an arrow, a function, a method or a `catch`.
    fn has_parameters(&self, start: usize, end: usize) -> bool {
        let Some(next) = self.tokens.get(end + 1) else { return false };
        if next.is("=>") {
            return true;
        }
        let before = start.checked_sub(1).map(|before| &self.tokens[before]);
        next.is("{") && !before.is_some_and(|before| CONDITIONS.iter().any(|word| before.is(word)))
    }

    /// Takes down the variables of a list of parameters or declarations, but not what their defaults mention.
    fn bind(&mut self, start: usize, top: bool) {
        let mut depth = 0usize;
        let mut value_at: Option<usize> = None;
        for at in start..self.tokens.len() {
            let token = &self.tokens[at];
            let opens = token.is("(") || token.is("[") || token.is("{") || token.opens_hole();
            let closes = token.is(")") || token.is("]") || token.is("}") || token.closes_hole();
            if closes {
                if depth == 0 {
                    return;
                }
                depth -= 1;
                if value_at.is_some_and(|value| value > depth) {
                    value_at = None;
                }
            }
            if opens {
                depth += 1;
            }
            match (value_at, token.text) {
                (_, ";") if depth == 0 => return,
                (Some(value), ",") if value == depth && token.kind == Kind::Mark => value_at = None,
                (None, "of" | "in") if depth == 0 && self.out.roles[at] == Role::Fixed => return,
                (None, "=") => value_at = Some(depth),
                (None, _) if matches!(self.out.roles[at], Role::Variable | Role::Shorthand) => {
                    self.declare(token.text, top);
                }
                _ => {}
            }
        }
    }
}
