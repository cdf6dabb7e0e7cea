//! The page as a release serves it: small, and still what stands in `web-client`.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../build/page.rs"]
mod page;
#[path = "../build/roles.rs"]
mod roles;
#[path = "../build/script.rs"]
mod script;
#[path = "../build/sheet.rs"]
mod sheet;
#[path = "../build/tokens.rs"]
mod tokens;

/// The scripts and styles that a page loads before anything is opened in it, without compression.
const BYTES_MAX: usize = 150_000;
/// What the types' checker says of a name that nobody declares.
const UNKNOWN_NAME: &[&str] = &["TS2304", "TS2552", "TS18004", "TS2451", "TS2300"];

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Puts the page into a folder of its own.
fn serve(into: &Path) -> BTreeMap<String, String> {
    let folder = top().join("web-client");
    let mut texts = BTreeMap::new();
    for path in page::paths(&folder).unwrap() {
        let made = page::made_small(&folder, &path).unwrap();
        fs::create_dir_all(into.join(&path).parent().unwrap()).unwrap();
        fs::write(into.join(&path), &made).unwrap();
        if path.ends_with(".js") || path.ends_with(".css") {
            texts.insert(path, String::from_utf8(made).unwrap());
        }
    }
    texts
}

/// The modules that one names as needed, and those that they name.
fn needed<'a>(path: &'a str, texts: &'a BTreeMap<String, String>, found: &mut BTreeSet<&'a str>) {
    let (path, text) = texts.get_key_value(path).unwrap_or_else(|| panic!("there is no module {path}"));
    if !found.insert(path) {
        return;
    }
    let folder = Path::new(path).parent().unwrap();
    for rest in text.split("from\"").skip(1) {
        let name = rest.split('"').next().unwrap();
        let mut wanted = folder.to_owned();
        for part in name.split('/') {
            match part {
                "." => {}
                ".." => drop(wanted.pop()),
                part => wanted.push(part),
            }
        }
        let wanted = wanted.to_str().unwrap().to_owned();
        let (wanted, _) = texts.get_key_value(&wanted).unwrap_or_else(|| panic!("{path} needs {wanted}"));
        needed(wanted, texts, found);
    }
}

#[test]
fn the_page_is_small_and_its_scripts_are_scripts() {
    let folder = crate::cluster::folder::Folder::new();
    let folder = folder.path();
    let texts = serve(folder);
    let mut found = BTreeSet::new();
    needed("main.js", &texts, &mut found);
    let index = fs::read_to_string(top().join("web-client/index.html")).unwrap();
    let styles = texts.keys().map(String::as_str).filter(|path| index.contains(&format!("href=\"/{path}\"")));
    let bytes: usize = found.iter().copied().chain(styles).map(|path| texts[path].len()).sum();
    assert!(
        bytes <= BYTES_MAX,
        "the page begins with {bytes} bytes of scripts and styles, {BYTES_MAX} at most"
    );
    fs::write(folder.join("package.json"), "{\"type\":\"module\"}").unwrap();
    let mut scripts = 0;
    for path in texts.keys().filter(|path| path.ends_with(".js")) {
        let said = Command::new("node").arg("--check").arg(folder.join(path)).output().unwrap();
        assert!(said.status.success(), "{path}: {}", String::from_utf8_lossy(&said.stderr));
        scripts += 1;
    }
    assert!(scripts > 20, "the page is where it is looked for");

    // A variable that got its new name in one place only would be one that nobody declares.
    let checker = top().join("target/page-tools/node_modules/.bin/tsc");
    assert!(
        checker.exists(),
        "the page's tools are missing: run ./integration/run once, which installs them"
    );
    let settings = r#"{"compilerOptions":{"allowJs":true,"checkJs":true,"noEmit":true,"target":"es2022","module":"es2022",
        "moduleResolution":"bundler","lib":["es2023","dom","dom.iterable"],"types":[]},"include":["*.js","views/*.js"]}"#;
    fs::write(folder.join("tsconfig.json"), settings).unwrap();
    let said = Command::new(checker).arg("-p").arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout);
    let unknown: Vec<_> =
        said.lines().filter(|line| UNKNOWN_NAME.iter().any(|code| line.contains(code))).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}
