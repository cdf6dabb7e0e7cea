//! Wall clocks that are wrong, each for one node: years off, jumping, standing still.
//!
//! A few lines of C, compiled by the story and loaded into the node before the C library, answer for the wall clock.
//! The node itself is the same program as ever, and its other clocks are the system's.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::node::Node;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/cluster/clock.c");

/// The wall clock of one node.
pub struct Clock(File);

impl Clock {
    /// Gives each of the nodes, from their next start on, a clock of its own that is right for now. `None`, said on
    /// standard output: there is no C compiler here.
    pub fn give(folder: &Path, nodes: &mut [Node]) -> Option<Vec<Self>> {
        let library = folder.join("clock.so");
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(SOURCE);
        match compile.output() {
            Err(error) => {
                // Not by a macro that the test's own output is caught from: a story left out is to be seen.
                let _ = writeln!(std::io::stdout(), "skipped, no C compiler here for wrong clocks: {error}");
                return None;
            }
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!("{SOURCE}: {}", String::from_utf8_lossy(&output.stderr)),
        }
        let mut clocks = Vec::new();
        for node in nodes {
            let path = folder.join(format!("{}.clock", node.name));
            fs::write(&path, [0; 16]).unwrap();
            node.set_variable("LD_PRELOAD", &library.display().to_string());
            node.set_variable("WRONG_CLOCK", &path.display().to_string());
            clocks.push(Self(File::options().write(true).open(&path).unwrap()));
        }
        Some(clocks)
    }

    /// Runs from now on, so many seconds off.
    pub fn shift(&self, seconds: i64) {
        let nanoseconds = seconds * 1_000_000_000;
        self.0.write_all_at(&nanoseconds.to_le_bytes(), 0).unwrap();
        self.0.write_all_at(&[0; 8], 8).unwrap();
    }

    /// Stands still at the time that it is now, so many seconds off.
    pub fn stop(&self, seconds: i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let stands_at = i64::try_from(now.as_nanos()).unwrap() + seconds * 1_000_000_000;
        self.0.write_all_at(&stands_at.to_le_bytes(), 8).unwrap();
    }
}
