//! What `FileCarrier` does by itself: fetching what is lacking here, looking through what is here, and removing
//! what nobody needs.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tracing::{debug, info, warn};

use super::carrier::Work;
use super::reading;
use crate::bus::{Port, Post, ask_anyway};
use crate::ids::{At, FileId};
use crate::messages::consensus::ReadBarrier;
use crate::messages::files::{Discard, Discredit, Idle, Lacking, NextFile, OpenFile};
use crate::messages::reading::{Answer, AttachmentsAfter, InMessages};

/// Between two looks for files that are lacking, when nothing is to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// As many rows or files are asked for at once.
const PAGE: usize = 500;
/// A round ends after so many that could not be fetched.
const FAILURES_MAX: usize = 3;
/// No more rows are looked at while so many files are lacking.
const LACKING_MAX: usize = 10_000;
/// Bytes a second that this takes of the way between the nodes, so that people keep their share.
const BYTES_PER_SECOND_MAX: u64 = 32 << 20;
/// Between two rounds in which nothing could be fetched, at most.
const PAUSE_MAX: Duration = Duration::from_secs(10);
const COLLECT_EVERY_MAX: Duration = Duration::from_secs(600);

/// Fetches for ever what messages hold and this disk does not, a file at a time; and looks, between that,
/// whether the files on the disk are what they were.
pub(super) async fn fetch_for_ever(work: Rc<Work>) {
    let mut lacking = BTreeSet::new();
    let (mut looked_to, mut tried, mut examined, mut pause) = (At(0), None, None, LOOK_EVERY);
    loop {
        tokio::time::sleep(pause).await;
        looked_to = look(&work, looked_to, &mut lacking).await;
        let fetched = fetch_some(&work, &mut tried, &mut lacking).await;
        if lacking.is_empty() {
            examined = examine(&work, examined, &mut lacking).await;
        }
        work.ports.metrics.files_lacking.set(i64::try_from(lacking.len()).unwrap_or(i64::MAX));
        pause = match (lacking.is_empty(), fetched) {
            (true, _) => LOOK_EVERY,
            (false, true) => Duration::ZERO,
            (false, false) => (pause * 2).clamp(LOOK_EVERY, PAUSE_MAX),
        };
    }
}

/// Adds the files of messages behind `after` that are not here; says how far it looked.
async fn look(work: &Work, after: At, lacking: &mut BTreeSet<FileId>) -> At {
    let mut after = after;
    while lacking.len() < LACKING_MAX {
        let rows =
            read(&work.ports.attachments_after, |reply| AttachmentsAfter { after, limit: PAGE, reply });
        let Some(rows) = rows.await else { break };
        let Some(last) = rows.last() else { break };
        after = last.at;
        let files = rows.iter().filter(|row| !row.gone).map(|row| row.file).collect();
        let not_here = ask_anyway(&work.ports.lacking, |reply| Lacking { files, reply }).await;
        lacking.extend(not_here.unwrap_or_default());
    }
    after
}

/// Fetches a few of the files that are lacking, those first that were not tried last; whether any came.
async fn fetch_some(work: &Rc<Work>, tried: &mut Option<FileId>, lacking: &mut BTreeSet<FileId>) -> bool {
    let behind = lacking.range((tried.map_or(Unbounded, Excluded), Unbounded));
    let files: Vec<FileId> = behind.chain(lacking.iter()).copied().take(PAGE.min(lacking.len())).collect();
    let (asking, mut progress, mut failures) = (files.clone(), false, 0);
    let Some(wanted) = read(&work.ports.in_messages, |reply| InMessages { files: asking, reply }).await
    else {
        return false;
    };
    for (file, bytes) in files.into_iter().zip(wanted) {
        // Deleted since.
        let Some(bytes) = bytes else {
            progress |= lacking.remove(&file);
            continue;
        };
        let began = Instant::now();
        *tried = Some(file);
        if work.fetch(file).await.is_ok() {
            (progress, failures) = (progress | lacking.remove(&file), 0);
            let due = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND_MAX as f64);
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            continue;
        }
        failures += 1;
        if failures == FAILURES_MAX {
            break;
        }
    }
    progress
}

/// Reads the next file whole; one that is damaged is lacking.
async fn examine(work: &Work, after: Option<FileId>, lacking: &mut BTreeSet<FileId>) -> Option<FileId> {
    let file = ask_anyway(&work.ports.next_file, |reply| NextFile { after, reply }).await.ok()??;
    let opened = ask_anyway(&work.ports.open_file, |reply| OpenFile { file, reply }).await;
    let Ok(Some((opened, _))) = opened else {
        lacking.insert(file);
        return Some(file);
    };
    match spawn_blocking(move || reading::is_whole(file, &opened)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            work.ports.discredit.tell(Discredit { file });
            lacking.insert(file);
        }
        Ok(Err(error)) => warn!(%file, %error, "a file cannot be read"),
        Err(error) => warn!(%file, %error, "a file was not read"),
    }
    Some(file)
}

/// Removes for ever, now and then, what no message, no upload and nobody else holds.
pub(super) async fn collect_for_ever(work: Rc<Work>) {
    let every = COLLECT_EVERY_MAX.min(work.config.unsent / 4);
    loop {
        tokio::time::sleep(every).await;
        if let Err(why) = collect(&work).await {
            debug!(why, "files that nobody needs stay for now");
        }
    }
}

async fn collect(work: &Work) -> Result<(), &'static str> {
    // A send that was acknowledged must be in the tables that are looked at: its bytes were held before.
    let passed = ask_anyway(&work.ports.barrier, |reply| ReadBarrier { reply }).await;
    if !matches!(passed, Ok(Ok(()))) {
        return Err("no majority");
    }
    let (mut after, mut gone) = (None, 0);
    loop {
        let idle = ask_anyway(&work.ports.idle, |reply| Idle { after, limit: PAGE, reply }).await;
        let idle = idle.map_err(|_| "this node is stopping")?;
        let Some(last) = idle.last() else { break };
        after = Some(*last);
        let files = idle.clone();
        let held = read(&work.ports.in_messages, |reply| InMessages { files, reply }).await;
        let held = held.ok_or("the tables cannot be read")?;
        let files: Vec<_> =
            idle.into_iter().zip(held).filter(|(_, held)| held.is_none()).map(|(file, _)| file).collect();
        gone += files.len();
        work.ports.discard.tell(Discard { files });
    }
    if gone > 0 {
        info!(gone, "files that no message holds go");
    }
    Ok(())
}

/// Asks `Reader`; what fails there it has said in the log.
async fn read<M: Post, T>(port: &Port<M>, question: impl FnOnce(Answer<T>) -> M) -> Option<T> {
    ask_anyway(port, question).await.ok()?.ok()
}
