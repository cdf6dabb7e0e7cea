//! Short names for the texts of the page, which stand in trees of objects in modules of their own (`words.login.name`).
//!
//! A name is short everywhere or nowhere. It may be when every place that says it can be followed from the tree: the tree itself, and
//! `words.login.name`, also by a constant that holds a part (`const text = words.login`). Where a part is handed on, or one of its
//! texts is chosen by a value, the names in it stay; and so does a name that anything else has too.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::bundle::Module;
use super::roles::Role;
use super::script::{Counter, Names};
use super::tokens::{Kind, Token};

/// How the modules are called that hold texts.
const MODULES: &str = "words";

/// Names by name; none under a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tree(BTreeMap<String, Tree>);

/// The new names of texts, by their old ones.
pub fn new_keys(modules: &BTreeMap<&str, Module<'_>>) -> Names {
    let mut kept: HashSet<String> = HashSet::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    let mut roots: HashMap<(&str, &str), Tree> = HashMap::new();
    // The names in the trees themselves, by module.
    let mut written: HashMap<&str, HashSet<usize>> = HashMap::new();
    for (path, module) in modules.iter().filter(|(path, _)| path.contains(MODULES)) {
        let tokens = &module.script.tokens;
        for at in 0..tokens.len() {
            let begins = tokens[at].is("export") && tokens.get(at + 1).is_some_and(|next| next.is("const"));
            if begins && tokens.get(at + 4).is_some_and(|next| next.is("{")) {
                let seen = written.entry(path).or_default();
                let (tree, _) = tree(module, at + 4, seen);
                roots.insert((path, tokens[at + 2].text), tree);
            }
        }
    }
    for (path, module) in modules {
        let mut followed =
            Followed { module, held: HashMap::new(), said: HashSet::new(), kept: HashSet::new() };
        for ((from, name), tree) in &roots {
            if from == path {
                followed.held.insert((*name).to_owned(), vec![tree.clone()]);
            }
            for import in module.imports.iter().filter(|import| import.from == *from) {
                for (_, ours) in import.names.iter().filter(|(theirs, _)| theirs == name) {
                    followed.held.insert(ours.clone(), vec![tree.clone()]);
                }
            }
        }
        followed.follow();
        let tree = written.remove(path).unwrap_or_default();
        for (at, token) in module.script.tokens.iter().enumerate() {
            match module.script.roles.roles[at] {
                Role::Property if tree.contains(&at) || followed.said.contains(&at) => {
                    *uses.entry(token.text.to_owned()).or_default() += 1;
                }
                Role::Property | Role::Shorthand => {
                    kept.insert(token.text.to_owned());
                }
                _ => {}
            }
        }
        kept.extend(followed.kept);
    }
    uses.retain(|name, _| !kept.contains(name));
    let mut by_use: Vec<_> = uses.into_iter().collect();
    by_use.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut counter = Counter::default();
    let mut names = Names::new();
    for (name, _) in by_use {
        let (new, next) = counter.peek("", |new| kept.contains(new));
        if new.len() < name.len() {
            counter = next;
            names.insert(name, new);
        }
    }
    names
}

/// The tree whose `{` stands there, and where its `}` does.
fn tree(module: &Module<'_>, start: usize, seen: &mut HashSet<usize>) -> (Tree, usize) {
    let tokens = &module.script.tokens;
    let mut found = Tree::default();
    let mut at = start + 1;
    while at < tokens.len() && !tokens[at].is("}") {
        let names = module.script.roles.roles[at] == Role::Property
            && tokens.get(at + 1).is_some_and(|next| next.is(":"));
        if !names {
            at += 1;
            continue;
        }
        seen.insert(at);
        let name = tokens[at].text.to_owned();
        at += 2;
        let under = if tokens.get(at).is_some_and(|next| next.is("{")) {
            let (under, end) = tree(module, at, seen);
            at = end + 1;
            under
        } else {
            at = value_end(tokens, at);
            Tree::default()
        };
        found.0.insert(name, under);
    }
    (found, at)
}

/// Where a value ends: at a comma or a bracket that is not in it.
fn value_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let closes = ["}", ")", "]"].iter().any(|mark| token.is(mark)) || token.closes_hole();
        if depth == 0 && (closes || token.is(",")) {
            return at;
        }
        depth -= usize::from(closes);
        depth += usize::from(["{", "(", "["].iter().any(|mark| token.is(mark)) || token.opens_hole());
    }
    tokens.len()
}

/// What a module does with the trees.
struct Followed<'a, 'b> {
    module: &'a Module<'b>,
    /// Variables that hold a tree, or one of several, and nothing else.
    held: HashMap<String, Vec<Tree>>,
    /// Where texts, and parts that hold them, are named.
    said: HashSet<usize>,
    kept: HashSet<String>,
}

impl Followed<'_, '_> {
    fn follow(&mut self) {
        // Whoever imports the trees, or declares them, calls nothing else so.
        for (name, trees) in self.held.clone() {
            let declared = self.module.script.roles.declared.get(&name).copied().unwrap_or(0);
            let here = usize::from(self.module.script.roles.exported.contains(&name));
            if declared != here {
                self.keep(&trees);
                self.held.remove(&name);
            }
        }
        let mut constants: HashMap<String, (usize, Vec<Tree>)> = HashMap::new();
        for at in 0..self.module.script.tokens.len() {
            let Some((name, tree)) = self.constant(at) else { continue };
            let entry = constants.entry(name).or_default();
            entry.0 += 1;
            entry.1.push(tree);
        }
        let Module { script, imports } = self.module;
        for (name, (count, trees)) in constants {
            let imported = imports.iter().flat_map(|import| &import.names).any(|(_, ours)| *ours == name);
            if !imported && script.roles.declared.get(&name) == Some(&count) {
                self.held.insert(name, trees);
            } else {
                self.keep(&trees);
            }
        }
        for at in 0..self.module.script.tokens.len() {
            if self.holds(at) {
                self.chain(at);
            }
        }
    }

    /// `const text = words.login;` whose chain begins there.
    fn constant(&self, at: usize) -> Option<(String, Tree)> {
        let tokens = &self.module.script.tokens;
        if at < 3 || !self.holds(at) || !tokens[at - 1].is("=") || !tokens[at - 3].is("const") {
            return None;
        }
        let [tree] = self.held[tokens[at].text].as_slice() else { return None };
        let mut tree = tree;
        let mut end = at + 1;
        while let Some(under) = self.step(end).and_then(|name| tree.0.get(name)) {
            tree = under;
            end += 2;
        }
        let whole = !tree.0.is_empty() && tokens.get(end).is_some_and(|next| next.is(";"));
        (whole && tokens[at - 2].kind == Kind::Name).then(|| (tokens[at - 2].text.to_owned(), tree.clone()))
    }

    fn holds(&self, at: usize) -> bool {
        self.module.script.is_variable(at) && self.held.contains_key(self.module.script.tokens[at].text)
    }

    /// The name behind a dot that stands there.
    fn step(&self, at: usize) -> Option<&str> {
        let tokens = &self.module.script.tokens;
        let dot = tokens.get(at).is_some_and(|token| token.is("."));
        tokens.get(at + 1).filter(|name| dot && name.kind == Kind::Name).map(|name| name.text)
    }

    /// Follows a variable to a text, or to the part that is used as a whole.
    fn chain(&mut self, start: usize) {
        let tokens = &self.module.script.tokens;
        if self.declares(start) {
            return;
        }
        let mut trees = self.held[tokens[start].text].clone();
        let mut at = start + 1;
        while let Some(name) = self.step(at) {
            let under: Vec<Tree> = trees.iter().filter_map(|tree| tree.0.get(name)).cloned().collect();
            if under.is_empty() {
                break;
            }
            self.said.insert(at + 1);
            trees = under;
            at += 2;
        }
        // The words of another language take the place of all.
        let replaced = at == start + 1
            && start > 3
            && ["Object", ".", "assign", "("]
                .iter()
                .zip(&tokens[start - 4..start])
                .all(|(word, token)| token.text == *word);
        if !replaced && self.constant(start).is_none() {
            self.keep(&trees);
        }
    }

    /// Whether the variable is declared there.
    fn declares(&self, at: usize) -> bool {
        at > 0 && self.module.script.tokens[at - 1].is("const")
    }

    fn keep(&mut self, trees: &[Tree]) {
        for Tree(names) in trees {
            for (name, under) in names {
                self.kept.insert(name.clone());
                self.keep(std::slice::from_ref(under));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::bundle::bundled;

    fn page(view: &str) -> BTreeMap<String, String> {
        let english = "export const words = { login: { heading: \"Hi\", name: \"Name\", why: { used: \"Used\" } }, plain: (count) => `${ count.name }`, end: \"End\" };";
        let german = english.replace("Hi", "Hallo");
        let main = format!(
            "import {{ words }} from \"./words.js\";\nObject.assign(words, (await import(\"./words.de.js\")).words);\n{view}"
        );
        let text = "export const text = it;".to_owned();
        let sources =
            [("main.js", main), ("words.js", english.to_owned()), ("words.de.js", german), ("text.js", text)];
        bundled(&sources.map(|(path, source)| (path.to_owned(), source)).into(), "main.js").unwrap()
    }

    /// Which of the names are short in the words of the other language.
    fn short(view: &str) -> Vec<&'static str> {
        let made = page(view);
        let names = ["login", "heading", "name", "why", "used", "plain", "end"];
        names.into_iter().filter(|name| !made["words.de.js"].contains(&format!("{name}:"))).collect()
    }

    #[test]
    fn texts_get_short_names_where_all_who_say_them_are_known() {
        // `count.name` is none of the tree's, and so `name` stays.
        assert_eq!(
            short("say(words.login.heading, words.end);"),
            ["login", "heading", "why", "used", "plain", "end"]
        );
        let made =
            page("const text = words.login;\nsay(text.heading, text.heading, text.why.used, words.end);");
        assert!(made["main.js"].contains("say(a.a,a.a,"), "{}", made["main.js"]);
        assert!(made["words.de.js"].contains("a:\"Hallo\""), "{}", made["words.de.js"]);
    }

    #[test]
    fn names_stay_where_others_have_them_or_a_part_is_handed_on() {
        for (view, stay) in [
            ("say(words.login);", &["heading", "why", "used"][..]),
            ("say(words.login.why[reason]);", &["used"]),
            ("const text = words.login;\nsay(text.why);", &["used"]),
            ("const { why, ...rest } = words.login;\nsay(why, rest);", &["heading", "why", "used"]),
            ("const text = words.login;\nconst say = (text) => text.heading;", &["heading", "why", "used"]),
            (
                "import { text } from \"./text.js\";\nsay(text.heading);\nconst say = () => {\n  const text = words.login;\n};",
                &["heading", "why", "used"],
            ),
            ("say(element.heading, words.login.heading);", &["heading"]),
            ("say({ end: 1, why });", &["why", "end"]),
            ("say(words);", &["login", "heading", "why", "used", "plain", "end"]),
        ] {
            let all = ["login", "heading", "why", "used", "plain", "end"];
            let wanted: Vec<&str> = all.into_iter().filter(|name| !stay.contains(name)).collect();
            assert_eq!(short(view), wanted, "{view}");
        }
    }
}
