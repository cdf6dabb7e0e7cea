//! What happens on the [`stage`](super::stage), in words.

use chat_actors::chat::command::{Batch, Command, LEVEL_FIRST};
use chat_actors::chat::outcome::Outcome;
use chat_actors::messages::consensus::NotDone;
use chat_actors::messages::disk::{Append, Committed, Payload};
use chat_actors::messages::members::Settled;
use raft::eraftpb::{ConfChangeSingle, ConfChangeV2, Entry, EntryType, HardState, Message};

pub fn settled_text(settled: &Settled) -> String {
    match settled {
        Settled::Done(says) => format!("done, {says}"),
        Settled::Refused(why) => format!("refused, {why}"),
        Settled::Later(why) => format!("later, {why}"),
        Settled::Joined { raft_id, .. } => format!("a replica joined as {raft_id}"),
        other => format!("{other:?}"),
    }
}

pub fn outcome_text(outcome: &Result<Outcome, NotDone>) -> String {
    match outcome {
        Ok(outcome) => format!("done at {}", outcome.at),
        Err(why) => format!("{why:?}"),
    }
}

pub fn append_text(append: &Append) -> String {
    let HardState { term, vote, commit, .. } = append.hard_state;
    let state =
        append.snapshot.as_ref().map(|install| format!("the state as of {}, ", install.position.index));
    let entries = entries_text(&append.entries);
    format!("{}{entries}term {term}, vote {vote}, commit {commit}", state.unwrap_or_default())
}

pub fn committed_text(entry: &Committed) -> String {
    match &entry.what {
        Payload::Batch(data) => format!("{} {}", entry.index, batch_text(data)),
        Payload::Empty => format!("{} (empty)", entry.index),
        Payload::Conf(..) | Payload::Node(_) => format!("{} (members)", entry.index),
    }
}

/// Only what says something.
pub fn message_text(message: &Message) -> String {
    let kind = format!("{:?}", message.get_msg_type());
    let mut text = format!("{} in term {}", kind.trim_start_matches("Msg"), message.term);
    for (name, value) in [("index", message.index), ("of term", message.log_term), ("commit", message.commit)]
    {
        if value > 0 {
            text += &format!(", {name} {value}");
        }
    }
    if message.get_snapshot().get_metadata().index > 0 {
        let metadata = message.get_snapshot().get_metadata();
        text += &format!(", of the state as of {} of term {}", metadata.index, metadata.term);
    }
    if message.reject {
        text += ", rejected";
    }
    let entries: Vec<_> = message.entries.iter().filter(|entry| entry.index > 0).cloned().collect();
    match entries_text(&entries) {
        entries if entries.is_empty() => text,
        entries => format!("{text}, {}", entries.trim_end_matches(", ")),
    }
}

pub fn entries_text(entries: &[Entry]) -> String {
    let one = |entry: &Entry| match entry.data.is_empty() {
        _ if entry.get_entry_type() == EntryType::EntryConfChangeV2 => {
            format!("entry {}/{} ({}), ", entry.index, entry.term, change_text(&entry.data))
        }
        true => format!("entry {}/{} (empty), ", entry.index, entry.term),
        false => format!("entry {}/{} {}, ", entry.index, entry.term, batch_text(&entry.data)),
    };
    entries.iter().map(one).collect()
}

/// A change of members; without data it leaves the joint configuration.
pub fn change_text(data: &[u8]) -> String {
    let mut change = ConfChangeV2::default();
    protobuf::Message::merge_from_bytes(&mut change, data).expect("a change of members");
    let one = |single: &ConfChangeSingle| format!("{:?} {}", single.get_change_type(), single.node_id);
    let all: Vec<_> = change.changes.iter().map(one).collect();
    if all.is_empty() { "leave".to_owned() } else { all.join(", ") }
}

pub fn batch_text(data: &[u8]) -> String {
    let batch = Batch::decode(data).expect("a batch");
    let texts: Vec<_> = batch.items.iter().map(|item| command_text(&item.command)).collect();
    match batch.level {
        LEVEL_FIRST => format!("[{}]", texts.join(", ")),
        level => format!("[{}] of level {level}", texts.join(", ")),
    }
}

pub fn command_text(bytes: &[u8]) -> String {
    Command::decode(bytes).expect("a command").id
}
