//! Joins the modules that the page begins with into one script, in which every name is short, also those that modules
//! share. What is loaded later stays in modules of its own, which take from that script what they need.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::script::{Counter, Names, SHORT, Script};
use super::texts;
use super::tokens::Kind;

/// So many of the most used shared names get one letter; the other letters are for the variables of a module.
const ONE_LETTER: usize = 12;

/// What the browser provides and nothing ever changes; in the first script it gets a short name where that pays.
const LASTING: &[&str] = &[
    "document",
    "setTimeout",
    "clearTimeout",
    "Promise",
    "Math",
    "Map",
    "Set",
    "Number",
    "String",
    "Object",
    "Date",
    "navigator",
    "setInterval",
    "clearInterval",
];
/// In the place of its module.
const BROWSER: &str = "";

/// A name at the top of a module: the module's path, and the name there.
type Shared = (String, String);

pub struct Module<'a> {
    pub script: Script<'a>,
    pub imports: Vec<Import>,
}

pub struct Import {
    /// The words of the statement.
    start: usize,
    end: usize,
    pub from: String,
    /// As the other module calls them and as this one does.
    pub names: Vec<(String, String)>,
}

/// The scripts that take the place of these.
///
/// # Errors
/// Says what in which of them it does not understand.
pub fn bundled(sources: &BTreeMap<String, String>, entry: &str) -> Result<BTreeMap<String, String>, String> {
    let mut modules = BTreeMap::new();
    for (path, source) in sources {
        let read = || -> Result<Module<'_>, String> {
            let script = Script::read(source)?;
            let imports = imports(path, &script)?;
            Ok(Module { script, imports })
        };
        modules.insert(path.as_str(), read().map_err(|problem| format!("{path}: {problem}"))?);
    }
    let mut order = Vec::new();
    visit(entry, &modules, &mut HashSet::new(), &mut order)?;
    let base: HashSet<&str> = order.iter().map(String::as_str).collect();
    let shared = shared_names(&modules, &base)?;
    let around: HashSet<String> = shared.values().cloned().chain(foreign(&modules, &base)).collect();

    let keys = texts::new_keys(&modules);

    let mut out = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (path, module) in modules.iter().filter(|(path, _)| !base.contains(*path)) {
        out.insert((*path).to_owned(), alone(path, module, &keys, &base, &shared, entry, &mut told));
    }
    let of_browser: BTreeMap<&str, &str> = shared
        .iter()
        .filter(|((path, _), _)| path == BROWSER)
        .map(|((_, name), new)| (name.as_str(), new.as_str()))
        .collect();
    let mut joined = String::new();
    if !of_browser.is_empty() {
        let names: Vec<_> = of_browser.iter().map(|(name, new)| format!("{new}={name}")).collect();
        joined.push_str(&format!("let {};\n", names.join(",")));
    }
    for path in &order {
        let module = &modules[path.as_str()];
        let mut given = Names::new();
        for name in &module.script.roles.top {
            given.insert(name.clone(), shared[&(path.clone(), name.clone())].clone());
        }
        given.extend(of_browser.iter().map(|(name, new)| ((*name).to_owned(), (*new).to_owned())));
        let mut instead = loads(path, entry, &module.script);
        for import in &module.imports {
            for (theirs, ours) in &import.names {
                given.insert(ours.clone(), shared[&(import.from.clone(), theirs.clone())].clone());
            }
            instead.extend((import.start..=import.end).map(|at| (at, String::new())));
        }
        for (at, token) in module.script.tokens.iter().enumerate() {
            if token.is("export") && !module.script.is_variable(at) {
                instead.insert(at, String::new());
            }
        }
        let names = module.script.new_names(&given, &around);
        joined.push_str(&module.script.print(&names, &keys, &instead));
    }
    if !told.is_empty() {
        joined.push_str(&format!("export{{{}}};\n", told.into_iter().collect::<Vec<_>>().join(",")));
    }
    out.insert(entry.to_owned(), joined);
    Ok(out)
}

/// A module that is loaded later.
fn alone(
    path: &str,
    module: &Module<'_>,
    keys: &Names,
    base: &HashSet<&str>,
    shared: &HashMap<Shared, String>,
    entry: &str,
    told: &mut BTreeSet<String>,
) -> String {
    let names = module.script.new_names(&Names::new(), &HashSet::new());
    let mut instead = loads(path, path, &module.script);
    let mut taken = Vec::new();
    let mut first = None;
    for import in module.imports.iter().filter(|import| base.contains(import.from.as_str())) {
        for (theirs, ours) in &import.names {
            let new = &shared[&(import.from.clone(), theirs.clone())];
            let ours = names.get(ours).unwrap_or(ours);
            taken.push(if new == ours { new.clone() } else { format!("{new} as {ours}") });
            told.insert(new.clone());
        }
        instead.extend((import.start..=import.end).map(|at| (at, String::new())));
        first.get_or_insert(import.start);
    }
    if let Some(first) = first {
        instead.insert(first, format!("import{{{}}}from\"{}\";", taken.join(","), way(path, entry)));
    }
    module.script.print(&names, keys, &instead)
}

/// A name for everything at the top of the first modules.
fn shared_names(
    modules: &BTreeMap<&str, Module<'_>>,
    base: &HashSet<&str>,
) -> Result<HashMap<Shared, String>, String> {
    let mut uses: HashMap<Shared, usize> = HashMap::new();
    let mut taken: HashSet<String> = foreign(modules, base).collect();
    for path in base {
        for name in &modules[path].script.roles.top {
            uses.insert(((*path).to_owned(), name.clone()), 0);
        }
    }
    for (path, module) in modules {
        let mut whose: HashMap<&str, Shared> = HashMap::new();
        for import in module.imports.iter().filter(|import| base.contains(import.from.as_str())) {
            for (theirs, ours) in &import.names {
                let name = (import.from.clone(), theirs.clone());
                if !uses.contains_key(&name) {
                    return Err(format!("{path}: {} has no {theirs}", import.from));
                }
                whose.insert(ours, name);
            }
        }
        if !base.contains(path) {
            continue;
        }
        for name in &module.script.roles.top {
            whose.insert(name, ((*path).to_owned(), name.clone()));
        }
        for (at, token) in module.script.tokens.iter().enumerate() {
            if module.script.is_variable(at)
                && let Some(count) = whose.get(token.text).and_then(|name| uses.get_mut(name))
            {
                *count += 1;
            }
        }
        // A variable of a module may keep a name this short.
        taken.extend(module.script.roles.declared.keys().filter(|name| name.len() <= SHORT).cloned());
    }
    for name in LASTING {
        let count = uses_of_browser(name, modules, base);
        if count * (name.len() - SHORT) > name.len() + "=,".len() + SHORT {
            uses.insert((BROWSER.to_owned(), (*name).to_owned()), count);
        }
    }
    let mut by_use: Vec<_> = uses.into_iter().collect();
    by_use.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut counter = Counter::default();
    let mut names = HashMap::new();
    for (number, (name, _)) in by_use.into_iter().enumerate() {
        if number == ONE_LETTER {
            counter = Counter::of_two();
        }
        let (new, next) = counter.peek("", |name| taken.contains(name));
        counter = next;
        names.insert(name, new);
    }
    Ok(names)
}

/// How often the first modules mention something of the browser's; never, when one of them calls something of its own so.
fn uses_of_browser(name: &str, modules: &BTreeMap<&str, Module<'_>>, base: &HashSet<&str>) -> usize {
    let mut count = 0;
    for Module { script, imports } in base.iter().map(|path| &modules[path]) {
        let imported = imports.iter().flat_map(|import| &import.names).any(|(_, ours)| ours == name);
        if imported || script.roles.declared.contains_key(name) {
            return 0;
        }
        let says = |at: &usize| script.is_variable(*at) && script.tokens[*at].text == name;
        count += (0..script.tokens.len()).filter(says).count();
    }
    count
}

/// What the first modules mention and do not declare: the browser's.
fn foreign(modules: &BTreeMap<&str, Module<'_>>, base: &HashSet<&str>) -> impl Iterator<Item = String> {
    let mut found = HashSet::new();
    for path in base {
        let Module { script, imports } = &modules[path];
        let imported: HashSet<&str> =
            imports.iter().flat_map(|import| import.names.iter().map(|(_, ours)| ours.as_str())).collect();
        for (at, token) in script.tokens.iter().enumerate() {
            let own = script.roles.declared.contains_key(token.text) || imported.contains(token.text);
            if script.is_variable(at) && !own {
                found.insert(token.text.to_owned());
            }
        }
    }
    found.into_iter()
}

/// Each module behind those that it needs.
fn visit<'a>(
    path: &'a str,
    modules: &'a BTreeMap<&str, Module<'_>>,
    seen: &mut HashSet<&'a str>,
    order: &mut Vec<String>,
) -> Result<(), String> {
    if !seen.insert(path) {
        return Ok(());
    }
    let module = modules.get(path).ok_or_else(|| format!("there is no module {path}"))?;
    for import in &module.imports {
        visit(&import.from, modules, seen, order)?;
    }
    order.push(path.to_owned());
    Ok(())
}

/// `import { a, b as c } from "./d.js";`, the one form in which this page writes it.
fn imports(path: &str, script: &Script<'_>) -> Result<Vec<Import>, String> {
    let tokens = &script.tokens;
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_statement = tokens[at].is("import")
            && tokens.get(at + 1).is_some_and(|next| !next.is("(") && !next.is("."))
            && !at.checked_sub(1).is_some_and(|before| tokens[before].is("."));
        if !is_statement {
            at += 1;
            continue;
        }
        let start = at;
        let end = (start..tokens.len()).find(|at| tokens[*at].is(";")).ok_or("an import without its ;")?;
        let words: Vec<&str> = tokens[start + 1..end].iter().map(|token| token.text).collect();
        let [first, inner @ .., last, keyword, from] = words.as_slice() else {
            return Err("an import that is none of names".into());
        };
        if (*first, *last, *keyword) != ("{", "}", "from") {
            return Err("an import that is none of names".into());
        }
        let mut names = Vec::new();
        for name in inner.split(|word| *word == ",").filter(|name| !name.is_empty()) {
            names.push(match name {
                [name] => ((*name).to_owned(), (*name).to_owned()),
                [theirs, "as", ours] => ((*theirs).to_owned(), (*ours).to_owned()),
                _ => return Err("an import that is none of names".into()),
            });
        }
        found.push(Import { start, end, from: target(path, from), names });
        at = end + 1;
    }
    Ok(found)
}

/// Where `import("./later.js")` leads from a script that stands elsewhere.
fn loads(path: &str, stands: &str, script: &Script<'_>) -> HashMap<usize, String> {
    let words = script.tokens.windows(3).enumerate();
    words
        .filter(|(_, words)| words[0].is("import") && words[1].is("(") && words[2].kind == Kind::Literal)
        .map(|(at, words)| (at + 2, format!("\"{}\"", way(stands, &target(path, words[2].text)))))
        .collect()
}

/// The path that a module names, from the page's folder.
fn target(path: &str, named: &str) -> String {
    let mut wanted = Path::new(path).parent().map(PathBuf::from).unwrap_or_default();
    for part in named.trim_matches(['"', '\'']).split('/') {
        match part {
            "." => {}
            ".." => {
                wanted.pop();
            }
            part => wanted.push(part),
        }
    }
    wanted.to_string_lossy().into_owned()
}

/// The way from one script to another.
fn way(from: &str, to: &str) -> String {
    let up = from.matches('/').count();
    format!("{}{to}", if up == 0 { "./".to_owned() } else { "../".repeat(up) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(sources: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        bundled(&sources.iter().map(|(path, source)| ((*path).into(), (*source).into())).collect(), "main.js")
    }

    #[test]
    fn modules_become_one_and_keep_apart_what_has_one_name_in_two() {
        let made = page(&[
            ("main.js", "import { shown } from \"./views/a.js\";\nconst limit = 1;\nshown(limit, window);\n"),
            ("views/a.js", "import { help } from \"../b.js\";\nconst limit = 2;\nexport function shown(count) {\n  return help(count, limit);\n}\n"),
            ("b.js", "export const help = (window_, limit) => [window_, limit];\n"),
        ])
        .unwrap();
        assert_eq!(
            made["main.js"],
            "let a=(f,e)=>[f,e];\nlet c=2;function d(e){return a(e,c)}\nlet b=1;d(b,window);\n"
        );
        assert_eq!(made.len(), 1);
    }

    #[test]
    fn what_the_browser_provides_has_a_short_name_where_that_pays() {
        let says =
            "export const say = () => [document.a, document.b, document.c, Math.min(1, 2), document];\n";
        let main = "import { say } from \"./a.js\";\nsay(it.document);\n";
        let made = page(&[("main.js", main), ("a.js", says)]).unwrap();
        let wanted = "let a=document;\nlet b=()=>[a.a,a.b,a.c,Math.min(1,2),a];\nb(it.document);\n";
        assert_eq!(made["main.js"], wanted);
        let own = "const document = it;\nexport const say = () => [document.a, document.b, document.c, document];\n";
        let made = page(&[("main.js", main), ("a.js", own)]).unwrap();
        assert_eq!(made["main.js"], "let a=it,b=()=>[a.a,a.b,a.c,a];\nb(it.document);\n");
    }

    #[test]
    fn what_comes_later_takes_from_the_first_script_what_it_needs() {
        let made = page(&[
            ("main.js", "import { open } from \"./views/a.js\";\nopen();\n"),
            ("views/a.js", "export const open = async () => (await import(\"./later.js\")).view();\n"),
            ("views/later.js", "import { open } from \"./a.js\";\nimport { twice } from \"../more.js\";\nexport function view() {\n  twice(open);\n}\n"),
            ("more.js", "export const twice = (act) => [act(), act()];\n"),
        ])
        .unwrap();
        assert_eq!(
            made["main.js"],
            "let a=async()=>(await import(\"./views/later.js\")).view();\na();\nexport{a};\n"
        );
        assert_eq!(
            made["views/later.js"],
            "import{a as open}from\"../main.js\";\nimport{twice as a}from\"../more.js\";export function view(){a(open)}\n"
        );
        assert!(
            page(&[("main.js", "import { none } from \"./a.js\";"), ("a.js", "export const one = 1;")])
                .is_err()
        );
        assert!(page(&[("main.js", "import all from \"./a.js\";"), ("a.js", "")]).is_err());
    }
}
