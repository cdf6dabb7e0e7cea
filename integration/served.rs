//! The page as a release serves it: small, and still what stands in `web-client`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

#[path = "../web-client/build/bundle.rs"]
mod bundle;
#[path = "../web-client/build/page.rs"]
mod page;
#[path = "../web-client/build/roles.rs"]
mod roles;
#[path = "../web-client/build/script.rs"]
mod script;
#[path = "../web-client/build/sheet.rs"]
mod sheet;
#[path = "../web-client/build/texts.rs"]
mod texts;
#[path = "../web-client/build/tokens.rs"]
mod tokens;

/// The scripts and styles that a page loads before anything is opened in it, without compression.
const BYTES_MAX: usize = 140_000;
/// All of them, also those that come when they are wanted.
const ALL_BYTES_MAX: usize = 200_000;
/// What the types' checker says of a name that nobody declares.
const UNKNOWN_NAME: &[&str] = &["TS2304", "TS2552", "TS18004", "TS2451", "TS2300"];

/// And of a property that an object has not, when it knows what is in it.
const UNKNOWN_PROPERTY: &str = "TS2339";
const OF_TREE: &str = "on type '{ ";

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_is_small_and_its_scripts_are_scripts() {
    let folder = crate::cluster::folder::Folder::new();
    let folder = folder.path();
    let made = page::made_small(&top().join("web-client")).unwrap();
    let index = fs::read_to_string(top().join("web-client/index.html")).unwrap();
    let first = made.iter().filter(|(path, _)| index.contains(&format!("\"/{path}\"")));
    let first = first.filter(|(path, _)| path.ends_with(".js") || path.ends_with(".css"));
    let bytes: usize = first.map(|(_, bytes)| bytes.len()).sum();
    assert!(
        bytes <= BYTES_MAX,
        "the page begins with {bytes} bytes of scripts and styles, {BYTES_MAX} at most"
    );
    let all = made.iter().filter(|(path, _)| path.ends_with(".js") || path.ends_with(".css"));
    let bytes: usize = all.map(|(_, bytes)| bytes.len()).sum();
    assert!(
        bytes <= ALL_BYTES_MAX,
        "the page is {bytes} bytes of scripts and styles, {ALL_BYTES_MAX} at most"
    );
    for (path, bytes) in &made {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), bytes).unwrap();
    }
    fs::write(folder.join("package.json"), "{\"type\":\"module\"}").unwrap();
    let mut scripts = 0;
    for path in made.keys().filter(|path| path.ends_with(".js")) {
        let said = Command::new("node").arg("--check").arg(folder.join(path)).output().unwrap();
        assert!(said.status.success(), "{path}: {}", String::from_utf8_lossy(&said.stderr));
        scripts += 1;
    }
    assert!(scripts > 3, "the page is where it is looked for");

    // A variable that got its new name in one place only would be one that nobody declares, a text one that its tree has not.
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
    let is_unknown = |line: &&str| {
        UNKNOWN_NAME.iter().any(|code| line.contains(code))
            || (line.contains(UNKNOWN_PROPERTY) && line.contains(OF_TREE))
    };
    let unknown: Vec<_> = said.lines().filter(is_unknown).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}
