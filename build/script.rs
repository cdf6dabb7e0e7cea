//! Makes a module of the page smaller: without comments and white space, and with short names for its own variables.
//!
//! A variable that a module declares gets one new name everywhere in that module, so scopes need not be understood: what
//! was one name stays one name. Imports, exports, properties and what the browser provides keep theirs.

use std::collections::{HashMap, HashSet};

use super::roles::{Frame, Role, Roles, roles};
use super::tokens::{Kind, Token, is_in_name, tokens};

/// # Errors
/// Says what in the source it does not understand.
pub fn minified(source: &str) -> Result<String, String> {
    let tokens = tokens(source)?;
    let roles = roles(&tokens)?;
    let names = new_names(&tokens, &roles);
    let mut out = String::with_capacity(source.len() / 2);
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let text = match (token.kind, roles.roles[at]) {
            (Kind::Private, _) | (_, Role::Variable) => {
                names.get(token.text).cloned().unwrap_or_else(|| token.text.to_owned())
            }
            (_, Role::Shorthand) => names
                .get(token.text)
                .map_or_else(|| token.text.to_owned(), |name| format!("{}:{name}", token.text)),
            (_, Role::Import) => names
                .get(token.text)
                .map_or_else(|| token.text.to_owned(), |name| format!("{} as {name}", token.text)),
            _ => token.text.to_owned(),
        };
        let needless =
            |next: Option<&Token<'_>>| next.is_some_and(|next| next.is("}") || next.is(")") || next.is("]"));
        // `{ a, b, }` and `f(); }`: a hole in an array (`[,]`) is not written in this page.
        if (token.is(",") && needless(tokens.get(at + 1)))
            || (token.is(";") && ends_block(&tokens, &roles, at))
        {
            continue;
        }
        if let Some(before) = before {
            if token.new_line && may_end(before, roles.closes[at - 1]) && may_begin(token) {
                out.push('\n');
            } else if (before.kind == Kind::Number && token.is(".")) || runs_together(&out, &text) {
                out.push(' ');
            }
        }
        out.push_str(&text);
    }
    out.push('\n');
    Ok(out)
}

/// Whether a semicolon stands before the end of a block, where none is needed. `for (;;)` and an empty statement are
/// none of those.
fn ends_block(tokens: &[Token<'_>], roles: &Roles, at: usize) -> bool {
    let empty = tokens[at - 1].is(")") || tokens[at - 1].is("else");
    !empty && matches!(roles.closes.get(at + 1), Some(Some(Frame::Block { .. })))
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

/// A short name for each variable and private member where that pays.
fn new_names(tokens: &[Token<'_>], roles: &Roles) -> HashMap<String, String> {
    let mut uses: HashMap<&str, (usize, isize)> = HashMap::new();
    let mut taken: HashSet<&str> = HashSet::new();
    for (token, role) in tokens.iter().zip(&roles.roles) {
        let extra = match role {
            Role::Shorthand => 3,
            Role::Import => 6,
            Role::Variable => 0,
            _ if token.kind == Kind::Private => 0,
            _ => continue,
        };
        let own = *role == Role::Import || roles.declared.contains(token.text) || token.kind == Kind::Private;
        // What is as short as the new names may keep its own, so that none of them is given to another.
        if !own || token.text.len() <= SHORT || roles.exported.contains(token.text) {
            taken.insert(token.text);
        }
        if !own || roles.exported.contains(token.text) {
            continue;
        }
        let entry = uses.entry(token.text).or_default();
        entry.0 += 1;
        entry.1 += extra;
    }
    let mut by_use: Vec<_> = uses.into_iter().collect();
    by_use.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
    let mut names = HashMap::new();
    let mut counters = [0usize; 2];
    for (old, (count, extra)) in by_use {
        let private = old.starts_with('#');
        let counter = &mut counters[usize::from(private)];
        let new = loop {
            let candidate = format!("{}{}", if private { "#" } else { "" }, short_name(*counter));
            *counter += 1;
            if !taken.contains(candidate.as_str()) && !RESERVED.contains(&candidate.as_str()) {
                break candidate;
            }
        };
        let gain = (old.len() as isize - new.len() as isize) * count as isize - extra;
        if gain > 0 {
            names.insert(old.to_owned(), new);
        } else {
            *counter -= 1;
        }
    }
    names
}

/// Words of the language that a counter could come upon.
const RESERVED: &[&str] =
    &["as", "do", "if", "in", "is", "of", "for", "let", "new", "try", "var", "get", "set"];
/// No module has more variables than there are names of this length.
const SHORT: usize = 2;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_lose_what_only_people_read() {
        for (source, small) in [
            ("/** Says. */\nconst greeting = 1; // one\n", "const a=1;\n"),
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
            ("const f = () => {}\n(g)\n", "const f=()=>{}\n(g)\n"),
        ] {
            assert_eq!(minified(source).unwrap(), small, "{source}");
        }
    }

    #[test]
    fn a_variable_is_renamed_everywhere_and_a_property_nowhere() {
        for (source, small) in [
            (
                "const reading = { reading: 1, other() {} }; use(reading.reading, { reading, deep: { reading } });",
                "const a={reading:1,other(){}};use(a.reading,{reading:a,deep:{reading:a}});\n",
            ),
            (
                "function show({ title, rooms: [first, ...others], size = width }) { draw(title, first, others, size, width); }",
                "function a({title:f,rooms:[b,...d],size:e=width}){draw(f,b,d,e,width);}\n",
            ),
            (
                "const moved = (given = document) => given ?? document;",
                "const b=(a=document)=>a??document;\n",
            ),
            (
                "import { words } from \"./w.js\"; words(words, words, words, words, words);",
                "import{words as a}from\"./w.js\";a(a,a,a,a,a);\n",
            ),
            ("export const shown = 1; const hidden = shown;", "export const shown=1;const a=shown;\n"),
            (
                "for (const entry of entries) { switch (entry) { case one: { done(entry); } default: break; } }",
                "for(const a of entries){switch(a){case one:{done(a);}default:break}}\n",
            ),
            ("const asked = flag ? { asked: 1 } : other;", "const a=flag?{asked:1}:other;\n"),
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
