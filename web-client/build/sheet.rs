//! Makes a style sheet smaller: without comments and needless white space, and with short names for the values that only
//! style sheets name (`--accent`). Its other words stay as they are.

use std::collections::{BTreeMap, HashMap};

/// The sheets made smaller. A value that a script names too keeps its name.
///
/// # Errors
/// Says what in which of them has no end.
pub fn minified_all<'a>(
    sheets: &BTreeMap<String, String>,
    scripts: impl Iterator<Item = &'a String> + Clone,
) -> Result<BTreeMap<String, String>, String> {
    let mut made = BTreeMap::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for (path, sheet) in sheets {
        let small = minified(sheet).map_err(|problem| format!("{path}: {problem}"))?;
        for name in pieces(&small).filter(|piece| piece.starts_with("--")) {
            *uses.entry(name.to_owned()).or_default() += 1;
        }
        made.insert(path.clone(), small);
    }
    uses.retain(|name, _| !scripts.clone().any(|script| script.contains(name.as_str())));
    let mut by_use: Vec<_> = uses.into_iter().collect();
    by_use.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let given: HashMap<String, String> =
        by_use.into_iter().zip('a'..='z').map(|((name, _), letter)| (name, format!("--{letter}"))).collect();
    for sheet in made.values_mut() {
        *sheet = pieces(sheet).map(|piece| given.get(piece).map_or(piece, String::as_str)).collect();
    }
    Ok(made)
}

/// A sheet cut at its words.
fn pieces(sheet: &str) -> impl Iterator<Item = &str> {
    let in_word = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    sheet.split_inclusive(move |character: char| !in_word(character)).flat_map(move |piece| {
        let word = piece.trim_end_matches(move |character: char| !in_word(character));
        [word, &piece[word.len()..]]
    })
}

/// # Errors
/// Says what in the sheet has no end.
fn minified(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut space = false;
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let first = rest.chars().next().unwrap_or(' ');
        if rest.starts_with("/*") {
            at += rest.find("*/").ok_or("a comment without an end")? + 2;
            space = true;
            continue;
        }
        if first.is_whitespace() {
            space = true;
            at += first.len_utf8();
            continue;
        }
        let length = match first {
            '"' | '\'' => text(rest, first).ok_or("a string without an end")?,
            first => first.len_utf8(),
        };
        let before = out.chars().next_back().unwrap_or('{');
        if first == '}' && before == ';' {
            out.pop();
        }
        // In front of a colon white space may mean a descendant, and around + and - a sum.
        let apart = |character: char| matches!(character, '{' | '}' | ';' | ',' | '>' | '/');
        if space && !apart(before) && before != ':' && !apart(first) {
            out.push(' ');
        }
        // `0.5` is `.5`.
        if first == '0' && (space || !is_figure(before)) && rest[1..].starts_with('.') {
            at += 1;
            space = false;
            continue;
        }
        space = false;
        out.push_str(&rest[..length]);
        at += length;
    }
    out.push('\n');
    Ok(out)
}

fn is_figure(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_')
}

fn text(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_lose_white_space_where_it_means_nothing() {
        for (source, small) in [
            (
                "/* a */\n.a,\n.b > p :hover {\n  color: red;\n  margin: 0 auto;\n}\n",
                ".a,.b>p :hover{color:red;margin:0 auto}\n",
            ),
            (
                ".a::before { content: \"; }  {\"; width: calc(100% - 2px); }",
                ".a::before{content:\"; }  {\";width:calc(100% - 2px)}\n",
            ),
            (
                "@media (max-width: 56.24em) { body { grid: \"a b\" auto / 1fr; } }",
                "@media (max-width:56.24em){body{grid:\"a b\" auto/1fr}}\n",
            ),
        ] {
            assert_eq!(minified(source).unwrap(), small, "{source}");
        }
        assert_eq!(
            minified("a { margin: -0.5em 0 0.5em 10.05em; opacity: 0.5; }").unwrap(),
            "a{margin:-0.5em 0 .5em 10.05em;opacity:.5}\n"
        );
        assert!(minified("a { /* open }").is_err());
    }

    #[test]
    fn values_that_only_sheets_name_get_one_letter_in_all_of_them() {
        let sheets = [
            ("a.css", ":root { --ground: red; --hue: 3; --on-ground: blue; }"),
            (
                "b.css",
                "p { color: var(--on-ground); background: var(--ground); border-color: var(--ground); }",
            ),
        ];
        let sheets = sheets.map(|(path, sheet)| (path.to_owned(), sheet.to_owned())).into();
        let scripts = ["style.setProperty(\"--hue\", hue);".to_owned()];
        let made = minified_all(&sheets, scripts.iter()).unwrap();
        assert_eq!(made["a.css"], ":root{--a:red;--hue:3;--b:blue}\n");
        assert_eq!(made["b.css"], "p{color:var(--b);background:var(--a);border-color:var(--a)}\n");
    }
}
