//! Which files the page is made of, and each as a release serves it.

use std::error::Error;
use std::fs;
use std::path::Path;

use super::{script, sheet};

/// What stands in the folder for those who work on it.
const TOOLS: &[&str] = &["node_modules", "tests", "types.js"];

/// The page's files, by their paths from the folder, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn paths(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut found = Vec::new();
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
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// # Errors
/// When the file cannot be read or is written in a way that is not understood.
pub fn made_small(folder: &Path, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes = fs::read(folder.join(path))?;
    let smaller = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => script::minified,
        Some("css") => sheet::minified,
        _ => return Ok(bytes),
    };
    let made =
        smaller(&String::from_utf8(bytes)?).map_err(|problem| format!("web-client/{path}: {problem}"))?;
    Ok(made.into_bytes())
}
