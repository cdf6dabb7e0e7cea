//! The two actors that keep files, and who has a port to them.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use anyhow::Context as _;
use chat_actors::bus::{Port, Seat};
use chat_actors::files::actor::FileShelf;
use chat_actors::files::links::LinkKey;
use chat_actors::files::nodes::Asking;
use chat_actors::files::store::FileLimits;
use chat_actors::files::{FileCarrier, FileCarrierConfig, FileCarrierPorts};
use chat_actors::membership::Roll;
use chat_actors::messages::consensus::ReadBarrier;
use chat_actors::metrics::Metrics;
use chat_actors::reader::Reader;
use chat_actors::session::files::FilePorts as SessionFilePorts;
use tokio::sync::watch;

use crate::edge::downloads::FilePorts;
use crate::edge::peer_files::PeerFilePorts;
use crate::settings::Settings;

const MAILBOX: usize = 4_096;

/// What they are built from. `state_reader` answers beside the questions of people.
pub struct Parts<'p> {
    pub settings: &'p Settings,
    pub asking: Asking,
    pub reader: &'p Addr<Reader>,
    pub readers: &'p Seat,
    pub state_reader: &'p Addr<Reader>,
    pub state_readers: &'p Seat,
    pub barrier: &'p Port<ReadBarrier>,
    pub roll: &'p watch::Receiver<Arc<Roll>>,
    pub metrics: &'p Metrics,
}

/// The ways to them.
pub struct Files {
    pub sessions: SessionFilePorts,
    pub people: FilePorts,
    pub peers: PeerFilePorts,
}

/// Starts `FileShelf` and `FileCarrier`, each on a thread of its own.
///
/// # Errors
/// When `data_dir/files` cannot be used.
pub fn start(parts: Parts<'_>) -> anyhow::Result<Files> {
    let Parts { settings, asking, reader, readers, state_reader, state_readers, metrics, .. } = parts;
    let data_dir = &settings.node.data_dir;
    let on_shelf = Seat::new(metrics, "file_shelf", MAILBOX);
    let shelf = FileShelf::open(data_dir, limits(settings), &on_shelf, metrics);
    let cannot_use = || {
        let files = data_dir.join("files");
        format!("{}: cannot use {}", settings.said("node.data_dir"), files.display())
    };
    let shelf = shelf.with_context(cannot_use)?;
    let shelf = shelf.start_on_own_thread();
    let links = LinkKey::new(&asking.secret, &asking.cluster);
    let unsent = Duration::from_secs(settings.limits.files_unsent_s);
    let carrier = FileCarrier::start_on_own_thread(
        FileCarrierConfig { asking, unsent },
        FileCarrierPorts {
            hold: on_shelf.port(shelf.clone().recipient()),
            begin_copy: on_shelf.port(shelf.clone().recipient()),
            finish: on_shelf.port(shelf.clone().recipient()),
            open_file: on_shelf.port(shelf.clone().recipient()),
            discredit: on_shelf.port(shelf.clone().recipient()),
            lacking: on_shelf.port(shelf.clone().recipient()),
            idle: on_shelf.port(shelf.clone().recipient()),
            discard: on_shelf.port(shelf.clone().recipient()),
            next_file: on_shelf.port(shelf.clone().recipient()),
            attachments_after: state_readers.port(state_reader.clone().recipient()),
            in_messages: state_readers.port(state_reader.clone().recipient()),
            barrier: parts.barrier.clone(),
            roll: parts.roll.clone(),
            metrics: metrics.clone(),
        },
    );
    let carriers = Seat::new(metrics, "file_carrier", MAILBOX);
    let sessions = SessionFilePorts {
        find: carriers.port(carrier.clone().recipient()),
        secure: carriers.port(carrier.clone().recipient()),
        files_seen: readers.port(reader.clone().recipient()),
        sent_since: readers.port(reader.clone().recipient()),
        done_before: readers.port(reader.clone().recipient()),
        links,
    };
    let people = FilePorts {
        begin_upload: on_shelf.port(shelf.clone().recipient()),
        begin_kept: on_shelf.port(shelf.clone().recipient()),
        begun: on_shelf.port(shelf.clone().recipient()),
        keep: on_shelf.port(shelf.clone().recipient()),
        finish: on_shelf.port(shelf.clone().recipient()),
        finish_kept: on_shelf.port(shelf.clone().recipient()),
        open_file: on_shelf.port(shelf.clone().recipient()),
        discredit: on_shelf.port(shelf.clone().recipient()),
        fetch: carriers.port(carrier.clone().recipient()),
        secure: carriers.port(carrier.clone().recipient()),
        tables_at: readers.port(reader.clone().recipient()),
    };
    let peers = PeerFilePorts {
        hold: on_shelf.port(shelf.clone().recipient()),
        begin_copy: on_shelf.port(shelf.clone().recipient()),
        finish: on_shelf.port(shelf.clone().recipient()),
        open_file: on_shelf.port(shelf.clone().recipient()),
        discredit: on_shelf.port(shelf.recipient()),
        fetch: carriers.port(carrier.recipient()),
    };
    Ok(Files { sessions, people, peers })
}

fn limits(settings: &Settings) -> FileLimits {
    FileLimits {
        file_bytes: settings.limits.file_bytes,
        total_mb: settings.limits.files_total_mb,
        reserve_mb: settings.disk.reserve_mb,
        unsent_ms: settings.limits.files_unsent_s * 1000,
    }
}
