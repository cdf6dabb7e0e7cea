//! Puts the page into the program: every file of `web-client` that a browser is to see. In a release scripts and styles are
//! made small; a debug build has them as they stand in the folder, for whoever looks for a mistake.

#![expect(clippy::print_stdout, reason = "cargo listens there")]

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

mod bundle;
mod page;
mod roles;
mod script;
mod sheet;
mod texts;
mod tokens;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("web-client");
    println!("cargo::rerun-if-changed={}", folder.display());
    let small = env::var("PROFILE")? == "release";
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut list = String::from("const FILES: &[(&str, &[u8])] = &[\n");
    for (path, bytes) in if small { page::made_small(&folder)? } else { page::sources(&folder)? } {
        let made = out.join("page").join(&path);
        fs::create_dir_all(made.parent().ok_or("a file without a folder")?)?;
        fs::write(&made, bytes)?;
        writeln!(list, "    ({path:?}, include_bytes!({:?})),", made.display().to_string())?;
    }
    list.push_str("];\n");
    fs::write(out.join("page_files.rs"), list)?;
    Ok(())
}
