//! Which files the page is made of, and each as a release serves it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use super::{bundle, sheet};

/// What stands in the folder for those who work on it.
const TOOLS: &[&str] = &["build", "node_modules", "tests", "types.js"];
/// Where the page begins.
const ENTRY: &str = "main.js";

/// The page's files by their paths from the folder, as they stand there.
///
/// # Errors
/// When the folder cannot be read.
pub fn sources(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut found = BTreeMap::new();
    let mut left = vec![String::new()];
    while let Some(under) = left.pop() {
        for entry in fs::read_dir(folder.join(&under))? {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|name| format!("{} is no UTF-8", name.display()))?;
            if TOOLS.contains(&name.as_str()) || name.ends_with(".json") || name.starts_with('.') {
                continue;
            }
            let path = if under.is_empty() { name } else { format!("{under}/{name}") };
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else {
                found.insert(path, fs::read(entry.path())?);
            }
        }
    }
    Ok(found)
}

/// The page as a release serves it: the scripts that it begins with are one, and all are small.
///
/// # Errors
/// When the folder cannot be read, or a file is written in a way that is not understood.
pub fn made_small(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut made = BTreeMap::new();
    let (mut scripts, mut sheets) = (BTreeMap::new(), BTreeMap::new());
    for (path, bytes) in sources(folder)? {
        if path.ends_with(".js") {
            scripts.insert(path, String::from_utf8(bytes)?);
        } else if path.ends_with(".css") {
            sheets.insert(path, String::from_utf8(bytes)?);
        } else {
            made.insert(path, bytes);
        }
    }
    let told = |problem| format!("web-client: {problem}");
    let sheets = sheet::minified_all(&sheets, scripts.values()).map_err(told)?;
    let scripts = bundle::bundled(&scripts, ENTRY).map_err(told)?;
    made.extend(scripts.into_iter().chain(sheets).map(|(path, text)| (path, text.into_bytes())));
    Ok(made)
}
