//! Raft stories as text: steps, each with what came of it, on the very nodes that the program runs.
//!
//! A line that begins with `> ` is a step (see [`stage`]), what is indented under it is what came of it,
//! and every other line is told to the reader. `UPDATE_TRANSCRIPTS=1` writes what comes of the steps now
//! into the files; read the difference before you commit it.

mod host;
mod stage;
mod words;

use std::fs;
use std::path::Path;

use stage::Stage;

#[test]
fn every_story_goes_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/transcripts");
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut told = 0;
    let mut wrong = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap();
        let came = play(&expected);
        told += 1;
        if update {
            fs::write(&path, came).unwrap();
        } else if came != expected {
            let line = came.lines().zip(expected.lines()).position(|(one, other)| one != other);
            let line = line.unwrap_or(came.lines().count().min(expected.lines().count()));
            wrong.push(format!(
                "{}:{}\n  is now: {}\n  was:    {}",
                path.display(),
                line + 1,
                came.lines().nth(line).unwrap_or("(nothing)"),
                expected.lines().nth(line).unwrap_or("(nothing)")
            ));
        }
    }
    assert!(told > 0, "there are no stories");
    assert!(wrong.is_empty(), "{}\nto accept: UPDATE_TRANSCRIPTS=1 cargo test transcripts", wrong.join("\n"));
}

/// The text with what comes of its steps now.
fn play(text: &str) -> String {
    let mut stage = Stage::default();
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with("  ") {
            continue;
        }
        out += line;
        out.push('\n');
        if let Some(step) = line.strip_prefix("> ") {
            for came in stage.step(step) {
                out += &format!("  {came}\n");
            }
        }
    }
    out
}
