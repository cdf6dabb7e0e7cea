//! Makes a style sheet smaller: without comments and needless white space. Its words stay as they are.

/// # Errors
/// Says what in the sheet has no end.
pub fn minified(source: &str) -> Result<String, String> {
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
        if space && !matches!(before, '{' | '}' | ';' | ',' | ':') && !matches!(first, '{' | '}' | ';' | ',')
        {
            out.push(' ');
        }
        space = false;
        out.push_str(&rest[..length]);
        at += length;
    }
    out.push('\n');
    Ok(out)
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
                ".a,.b > p :hover{color:red;margin:0 auto}\n",
            ),
            (
                ".a::before { content: \"; }  {\"; width: calc(100% - 2px); }",
                ".a::before{content:\"; }  {\";width:calc(100% - 2px)}\n",
            ),
            (
                "@media (max-width: 56.24em) { body { grid: \"a b\" auto / 1fr; } }",
                "@media (max-width:56.24em){body{grid:\"a b\" auto / 1fr}}\n",
            ),
        ] {
            assert_eq!(minified(source).unwrap(), small, "{source}");
        }
        assert!(minified("a { /* open }").is_err());
    }
}
