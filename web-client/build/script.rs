//! A script made smaller: without comments and white space, and with short names for its own variables.
//!
//! A variable that a module declares gets one new name everywhere in that module, so scopes need not be understood: what
//! was one name stays one name. Properties and what the browser provides keep theirs.

use std::collections::{HashMap, HashSet};

use super::roles::{Frame, Role, Roles, roles};
use super::tokens::{Kind, Token, is_in_name, tokens};

pub struct Script<'a> {
    pub tokens: Vec<Token<'a>>,
    pub roles: Roles,
}

/// New names by old ones.
pub type Names = HashMap<String, String>;

impl<'a> Script<'a> {
    /// # Errors
    /// Says what in the source it does not understand.
    pub fn read(source: &'a str) -> Result<Self, String> {
        let tokens = tokens(source)?;
        let roles = roles(&tokens)?;
        Ok(Self { tokens, roles })
    }

    /// Whether this word is the name of a variable, also as a shorthand.
    pub fn is_variable(&self, at: usize) -> bool {
        matches!(self.roles.roles[at], Role::Variable | Role::Shorthand)
    }

    /// The text of the script, with some of its words replaced; an empty one goes. `keys` are new names of properties.
    pub fn print(&self, names: &Names, keys: &Names, instead: &HashMap<usize, String>) -> String {
        let mut instead = instead.clone();
        self.shorten(&mut instead);
        let mut out = String::new();
        let mut before: Option<usize> = None;
        for (at, token) in self.tokens.iter().enumerate() {
            let text = instead.get(&at).cloned().unwrap_or_else(|| self.word(at, names, keys));
            if text.is_empty() || self.is_needless(at) {
                continue;
            }
            if let Some(before) = before {
                let last = &self.tokens[before];
                if token.new_line && may_end(last, self.roles.closes[before]) && may_begin(token) {
                    out.push('\n');
                } else if (last.kind == Kind::Number && token.is(".")) || runs_together(&out, &text) {
                    out.push(' ');
                }
            }
            out.push_str(&text);
            before = Some(at);
        }
        out.push('\n');
        out
    }

    /// `const a = 1; let b = 2;` needs one of the two words, `(a) => b` no brackets, and a statement no `void`.
    fn shorten(&self, instead: &mut HashMap<usize, String>) {
        // For each open bracket whether the statement in it is a declaration.
        let mut open = vec![false];
        for (at, token) in self.tokens.iter().enumerate() {
            let before = at.checked_sub(1);
            if let (Some(before), Some(top)) = (before, open.last_mut())
                && token.new_line
                && may_end(&self.tokens[before], self.roles.closes[before])
                && may_begin(token)
            {
                *top = false;
            }
            if token.is("(") || token.is("[") || token.is("{") || token.opens_hole() {
                open.push(false);
                let arrow = [1, 2, 3].map(|ahead| self.tokens.get(at + ahead));
                if let [Some(name), Some(close), Some(sign)] = arrow
                    && token.is("(")
                    && name.kind == Kind::Name
                    && close.is(")")
                    && sign.is("=>")
                    && !before.is_some_and(|before| self.tokens[before].is("async"))
                {
                    instead.insert(at, String::new());
                    instead.insert(at + 2, String::new());
                }
            } else if token.is(")") || token.is("]") || token.is("}") || token.closes_hole() {
                open.pop();
            }
            if token.is("void") && self.roles.roles[at] == Role::Fixed && self.begins_statement(at) {
                instead.insert(at, String::new());
            }
            let Some(top) = open.last_mut() else { return };
            if declares(token) && self.roles.roles[at] == Role::Fixed {
                let apart = |before: usize| {
                    let exported = self.tokens[before].is("export") && !instead.contains_key(&before);
                    exported || self.tokens[before].is("(")
                };
                *top = !before.is_some_and(apart);
            } else if token.is(";") && *top {
                let mut left = at + 1..self.tokens.len();
                let next = left.find(|next| !instead.get(next).is_some_and(String::is_empty));
                if let Some(next) = next.filter(|next| declares(&self.tokens[*next])) {
                    instead.insert(at, ",".into());
                    instead.insert(next, String::new());
                } else {
                    *top = false;
                }
            }
        }
    }

    /// Whether a statement begins there that is an expression from a name on.
    fn begins_statement(&self, at: usize) -> bool {
        let named =
            self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Name && !next.is("function"));
        let Some(before) = at.checked_sub(1) else { return named };
        let closed = matches!(self.roles.closes[before], Some(Frame::Block { arrow: false }));
        let word = &self.tokens[before];
        let opens = word.is("{") && self.opens_block(before);
        named && (word.is(";") || opens || closed || word.is("else"))
    }

    /// Whether the brace at this place holds statements.
    fn opens_block(&self, at: usize) -> bool {
        let mut depth = 0usize;
        for later in at..self.tokens.len() {
            let token = &self.tokens[later];
            if token.is("{") || token.opens_hole() {
                depth += 1;
            }
            if token.is("}") || token.closes_hole() {
                depth -= 1;
            }
            if depth == 0 {
                return matches!(self.roles.closes[later], Some(Frame::Block { .. }));
            }
        }
        false
    }

    fn word(&self, at: usize, names: &Names, keys: &Names) -> String {
        let old = self.tokens[at].text;
        let new = names.get(old);
        match (self.tokens[at].kind, self.roles.roles[at], new) {
            (Kind::Private, _, Some(new)) | (_, Role::Variable, Some(new)) => new.clone(),
            (_, Role::Shorthand, Some(new)) if new != old => format!("{old}:{new}"),
            (_, Role::Import, Some(new)) if new != old => format!("{old} as {new}"),
            (_, Role::Property, _) => keys.get(old).map_or(old, String::as_str).to_owned(),
            (Kind::Number, _, _) => number(old),
            (Kind::Name, Role::Fixed, _) => meaning(old).to_owned(),
            _ => old.to_owned(),
        }
    }

    /// `{ a, b, }` and `f; }`. A hole in an array (`[,]`) is not written in this page.
    fn is_needless(&self, at: usize) -> bool {
        let token = &self.tokens[at];
        let closes = self.tokens.get(at + 1).is_some_and(|next| next.is("}") || next.is(")") || next.is("]"));
        (token.is(",") && closes) || (token.is(";") && ends_block(&self.tokens, &self.roles, at))
    }

    /// A short name for each variable and private member where that pays.
    ///
    /// `given` are names that are settled already; `taken` are in use around this script.
    pub fn new_names(&self, given: &Names, taken: &HashSet<String>) -> Names {
        let mut uses: HashMap<&str, (usize, isize)> = HashMap::new();
        let mut taken: HashSet<&str> = taken.iter().map(String::as_str).collect();
        let words = self.tokens.iter().zip(&self.roles.roles);
        let imported: HashSet<&str> =
            words.filter(|(_, role)| **role == Role::Import).map(|(token, _)| token.text).collect();
        for (at, token) in self.tokens.iter().enumerate() {
            let private = token.kind == Kind::Private;
            let extra = match self.roles.roles[at] {
                Role::Shorthand => 3,
                Role::Import => 6,
                Role::Variable => 0,
                _ if private => 0,
                _ => continue,
            };
            let own =
                private || self.roles.declared.contains_key(token.text) || imported.contains(token.text);
            let kept = !own || given.contains_key(token.text) || self.roles.exported.contains(token.text);
            // What is as short as the new names may keep its own, so that none of them is given to another.
            if kept || token.text.len() <= SHORT {
                taken.insert(token.text);
            }
            if !kept {
                let entry = uses.entry(token.text).or_default();
                entry.0 += 1;
                entry.1 += extra;
            }
        }
        let mut by_use: Vec<_> = uses.into_iter().collect();
        by_use.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
        let mut names = given.clone();
        let (mut variables, mut members) = (Counter::default(), Counter::default());
        for (old, (count, extra)) in by_use {
            let private = old.starts_with('#');
            let (sign, counter) = if private { ("#", &mut members) } else { ("", &mut variables) };
            let (new, next) = counter.peek(sign, |name| taken.contains(name));
            let gain = (old.len() as isize - new.len() as isize) * count as isize - extra;
            if gain > 0 {
                *counter = next;
                names.insert(old.to_owned(), new);
            }
        }
        names
    }
}

/// Counts through the short names.
#[derive(Clone, Copy, Default)]
pub struct Counter(usize);

impl Counter {
    /// Begins behind the names of one letter.
    pub fn of_two() -> Self {
        Self(LETTERS.len())
    }

    /// The next free name, and the counter behind it.
    pub fn peek(self, sign: &str, is_taken: impl Fn(&str) -> bool) -> (String, Self) {
        let mut at = self.0;
        loop {
            let name = format!("{sign}{}", short_name(at));
            at += 1;
            if !is_taken(&name) && !RESERVED.contains(&name.as_str()) {
                return (name, Self(at));
            }
        }
    }
}

/// No module has more variables than there are names of this length.
pub const SHORT: usize = 2;
/// Words of the language that a counter could come upon.
const RESERVED: &[&str] =
    &["as", "do", "if", "in", "is", "of", "for", "let", "new", "try", "var", "get", "set"];
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// a … Z, aa … ZZ, and so on.
fn short_name(mut number: usize) -> String {
    let mut name = Vec::new();
    loop {
        name.push(LETTERS[number % LETTERS.len()]);
        number /= LETTERS.len();
        if number == 0 {
            break;
        }
        number -= 1;
    }
    name.reverse();
    String::from_utf8(name).unwrap_or_default()
}

/// Whether this word begins a declaration. Types have seen to it that no constant is assigned to, so both are `let`.
fn declares(token: &Token<'_>) -> bool {
    token.is("const") || token.is("let")
}

/// A word of the language in fewer letters.
fn meaning(word: &str) -> &str {
    match word {
        "const" => "let",
        "true" => "!0",
        "false" => "!1",
        "undefined" => "void 0",
        word => word,
    }
}

/// A number in fewer figures: `60_000` is `6e4`, and `0.5` is `.5`.
fn number(old: &str) -> String {
    let plain = old.replace('_', "");
    let figures = plain.trim_end_matches('0');
    let zeros = plain.len() - figures.len();
    if zeros > 2 && figures.bytes().all(|byte| byte.is_ascii_digit()) && !figures.is_empty() {
        return format!("{figures}e{zeros}");
    }
    plain.strip_prefix('0').filter(|rest| rest.starts_with('.')).map_or(plain.clone(), str::to_owned)
}

/// Whether a semicolon stands before the end of a block, where none is needed. `for (;;)` and an empty statement are
/// none of those.
fn ends_block(tokens: &[Token<'_>], roles: &Roles, at: usize) -> bool {
    let empty = tokens[at - 1].is("else") || ends_condition(tokens, at - 1);
    !empty && matches!(roles.closes.get(at + 1), Some(Some(Frame::Block { .. })))
}

/// Whether a statement must follow this word: it closes `if (`, `for (` or `while (`.
fn ends_condition(tokens: &[Token<'_>], at: usize) -> bool {
    if !tokens[at].is(")") {
        return false;
    }
    let mut depth = 0usize;
    for before in (0..=at).rev() {
        if tokens[before].is(")") {
            depth += 1;
        } else if tokens[before].is("(") {
            depth -= 1;
            if depth == 0 {
                let word = before.checked_sub(1).map(|before| &tokens[before]);
                return word.is_some_and(|word| ["if", "for", "while"].iter().any(|one| word.is(one)));
            }
        }
    }
    true
}

/// Whether a statement may end with this word, so that a new line behind it may mean something.
fn may_end(token: &Token<'_>, closes: Option<Frame>) -> bool {
    match token.kind {
        Kind::Mark => match closes {
            Some(Frame::Block { arrow: false } | Frame::Class) => false,
            Some(_) => true,
            None => matches!(token.text, "++" | "--"),
        },
        Kind::Template => !token.opens_hole(),
        _ => true,
    }
}

fn may_begin(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Mark => matches!(token.text, "(" | "[" | "{" | "!" | "~" | "+" | "-" | "++" | "--" | "..."),
        Kind::Template => !token.closes_hole(),
        _ => true,
    }
}

/// Whether two words would become another one without a space.
fn runs_together(out: &str, next: &str) -> bool {
    let (Some(last), Some(first)) = (out.chars().next_back(), next.chars().next()) else { return false };
    let joins = is_in_name(last) && (is_in_name(first) || first == '#');
    joins || (last == first && matches!(last, '+' | '-' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minified(source: &str) -> Result<String, String> {
        let script = Script::read(source)?;
        let names = script.new_names(&Names::new(), &HashSet::new());
        Ok(script.print(&names, &Names::new(), &HashMap::new()))
    }

    #[test]
    fn scripts_lose_what_only_people_read() {
        for (source, small) in [
            ("/** Says. */\nconst greeting = 1; // one\n", "let a=1;\n"),
            (
                "export function add(first, second) {\n  return first + second;\n}\n",
                "export function add(a,b){return a+b}\n",
            ),
            (
                "f(\"// no comment\", `a  ${ deep /* x */ } b`, /[/*]\\/ +/u);",
                "f(\"// no comment\",`a  ${deep} b`,/[/*]\\/ +/u);\n",
            ),
            ("a + +b; a - -b; a++ + b; x / y / 2;", "a+ +b;a- -b;a++ +b;x/y/2;\n"),
            (
                "class Store {\n  #held = 1;\n  get held() {\n    return this.#held;\n  }\n}",
                "class a{#a=1;get held(){return this.#a}}\n",
            ),
            ("const f = () => {}\n(g)\n", "let f=()=>{}\n(g)\n"),
            (
                "const one = 1;\nconst two = 2;\nfor (const it of them) f(it);\nconst three = 3;\n",
                "let b=1,d=2;for(let a of them)f(a);let c=3;\n",
            ),
            ("const f = () => {}\ng();\nconst two = 2;\n", "let f=()=>{}\ng();let a=2;\n"),
            ("f((each) => each, async (each) => each);", "f(a=>a,async(a)=>a);\n"),
            (
                "const none = undefined;\nlet [yes, no] = [true, false];\nf({ true: 1 }, it.false);",
                "let b=void 0,[c,a]=[!0,!1];f({true:1},it.false);\n",
            ),
            (
                "void f();\nif (a) {\n  void b();\n}\nvoid c();\nconst d = () => void e();\nconst g = { h: void 0 };",
                "f();if(a){b()}c();let d=()=>void e(),g={h:void 0};\n",
            ),
            ("f(60_000, 0.5, 1200, 0, 0x7000, 1000, 30 .x);", "f(6e4,.5,1200,0,0x7000,1e3,30 .x);\n"),
            (
                "if (a) {\n  while (b()) c();\n}\nfunction d() {\n  for (;;);\n}\nfunction e() {\n  f();\n}\n",
                "if(a){while(b())c()}function d(){for(;;);}function e(){f()}\n",
            ),
        ] {
            assert_eq!(minified(source).unwrap(), small, "{source}");
        }
    }

    #[test]
    fn a_variable_is_renamed_everywhere_and_a_property_nowhere() {
        for (source, small) in [
            (
                "const reading = { reading: 1, other() {} }; use(reading.reading, { reading, deep: { reading } });",
                "let a={reading:1,other(){}};use(a.reading,{reading:a,deep:{reading:a}});\n",
            ),
            (
                "function show({ title, rooms: [first, ...others], size = width }) { draw(title, first, others, size, width); }",
                "function e({title:d,rooms:[a,...b],size:c=width}){draw(d,a,b,c,width)}\n",
            ),
            ("const moved = (given = document) => given ?? document;", "let b=(a=document)=>a??document;\n"),
            (
                "import { words } from \"./w.js\"; words(words, words, words, words, words);",
                "import{words as a}from\"./w.js\";a(a,a,a,a,a);\n",
            ),
            ("export const shown = 1; const hidden = shown;", "export let shown=1;let a=shown;\n"),
            (
                "for (const entry of entries) { switch (entry) { case one: { done(entry); } default: break; } }",
                "for(let a of entries){switch(a){case one:{done(a)}default:break}}\n",
            ),
            ("const asked = flag ? { asked: 1 } : other;", "let a=flag?{asked:1}:other;\n"),
        ] {
            assert_eq!(minified(source).unwrap(), small, "{source}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for source in ["const a = \"open", "`${a", "/* open", "} / 2", "f();\n}", "const a = {};\nx = {} / 2"]
        {
            assert!(minified(source).is_err(), "{source}");
        }
    }
}
