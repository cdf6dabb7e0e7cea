//! How often this disk can sync: what the rate of acknowledgements is to be read against.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const BLOCK_BYTES: usize = 4096;

/// Written before, then overwritten again and again, as a write-ahead log is.
const BLOCKS: usize = 256;

const MEASURED: Duration = Duration::from_secs(1);

/// Writes blocks of 4 KiB into a file in this folder, each with its fdatasync, and returns how many went
/// in a second.
///
/// # Errors
/// When the file cannot be written.
pub fn fdatasync_per_second(folder: &Path) -> io::Result<f64> {
    let path = folder.join("fdatasync");
    let mut file = File::create_new(&path)?;
    let block = [0x5a; BLOCK_BYTES];
    for _ in 0..BLOCKS {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let started = Instant::now();
    let mut syncs: u32 = 0;
    while started.elapsed() < MEASURED {
        let offset = syncs as usize % BLOCKS * BLOCK_BYTES;
        file.write_all_at(&block, offset as u64)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / started.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(rate)
}
