//! All commands of one Raft entry, in order, on the tables.

use super::apply::{Stamp, apply_as};
use super::command::{Batch, Command, FormatError, Item};
use super::outcome::{Code, Effect, Notice, Outcome, Refusal, SessionEnded};
use super::tables::Tables;
use crate::ids::{Boot, Origin, RaftId};

/// Whose outcomes are wanted: those asked for by this node in this run of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    pub node: RaftId,
    pub boot: Boot,
}

/// What applying brought about, over as many entries as go into one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Of the commands asked for here, in order.
    pub outcomes: Vec<(Origin, Result<Outcome, Refusal>)>,
    /// By rising `at`.
    pub notices: Vec<Notice>,
    pub ended: Vec<SessionEnded>,
    /// The highest format level among the batches; 0 without any.
    pub level: u8,
}

/// Why an entry could not be applied. Neither is a refusal: replicas would part.
#[derive(Debug, thiserror::Error)]
pub enum BatchFailed<E> {
    /// Ends the process with this sentence: every replica must read the entry as its writer meant it.
    #[error("cannot read an entry of the log: {0}")]
    Format(#[from] FormatError),
    /// Reading or writing failed: roll back.
    #[error("cannot apply: {0}")]
    Tables(E),
}

/// Applies an encoded [`Batch`] and adds what it brought about.
///
/// # Errors
/// [`BatchFailed::Format`] when the batch cannot be read, before anything is written;
/// [`BatchFailed::Tables`] when the tables fail.
pub fn apply_batch<T: Tables>(
    tables: &mut T,
    data: &[u8],
    here: Here,
    gathered: &mut Gathered,
) -> Result<(), BatchFailed<T::Error>> {
    apply_batch_with(tables, data, here, gathered, apply_item)
}

/// Does so with another way to apply one command: a store wraps [`apply_item`] into a savepoint and makes
/// [`internal`] of what it rolls back.
///
/// # Errors
/// As [`apply_batch`].
pub fn apply_batch_with<T, F>(
    tables: &mut T,
    data: &[u8],
    here: Here,
    gathered: &mut Gathered,
    mut one: F,
) -> Result<(), BatchFailed<T::Error>>
where
    T: Tables,
    F: FnMut(&mut T, Stamp, &Item, &Command) -> Result<Effect, T::Error>,
{
    let batch = Batch::decode(data)?;
    let commands = batch.items.iter().map(|item| Command::decode(&item.command));
    let commands: Vec<Command> = commands.collect::<Result<_, _>>()?;
    let stamp = Stamp { level: batch.level, time_ms: batch.time_ms };
    for (item, command) in batch.items.iter().zip(&commands) {
        let effect = one(tables, stamp, item, command).map_err(BatchFailed::Tables)?;
        gathered.add(here, item.origin, effect);
    }
    gathered.level = gathered.level.max(batch.level);
    Ok(())
}

/// Applies one command of a batch; the item is where it came from.
///
/// # Errors
/// When the tables fail.
pub fn apply_item<T: Tables>(
    tables: &mut T,
    stamp: Stamp,
    _: &Item,
    command: &Command,
) -> Result<Effect, T::Error> {
    apply_as(tables, stamp, command)
}

/// The effect of a command that failed in a way that no rule foresees.
pub fn internal(message: &str) -> Effect {
    Effect::only(Err(Refusal::new(Code::Internal, message)))
}

impl Gathered {
    fn add(&mut self, here: Here, origin: Origin, effect: Effect) {
        if (Here { node: origin.node, boot: origin.boot }) == here {
            self.outcomes.push((origin, effect.outcome));
        }
        self.notices.extend(effect.notices);
        self.ended.extend(effect.ended);
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::chat::apply::apply;
    use crate::chat::command::LEVEL;
    use crate::chat::model::Model;
    use crate::chat::script::Script;

    const HERE: Here = Here { node: RaftId(1), boot: Boot(2) };

    fn item(node: u64, boot: u64, number: u64, command: Vec<u8>) -> Item {
        let origin = Origin { node: RaftId(node), boot: Boot(boot), number };
        Item { origin, command: ByteBuf::from(command) }
    }

    fn batch(items: Vec<Item>) -> Vec<u8> {
        Batch { level: LEVEL, time_ms: 1, items }.encode().unwrap()
    }

    #[test]
    fn a_batch_does_what_its_commands_do_one_by_one() {
        let steps: Vec<_> = Script::new(7).take(200).collect();
        let (mut single, mut joined) = (Model::default(), Model::default());
        let mut effects = Vec::new();
        for step in &steps {
            effects.push(apply(&mut single, 1, &step.command).unwrap());
        }
        let encode = |(n, step): (usize, &crate::chat::script::Step)| {
            item(1 + n as u64 % 2, 2 + n as u64 % 3, n as u64, step.command.encode().unwrap())
        };
        let mut gathered = Gathered::default();
        for part in steps.iter().enumerate().map(encode).collect::<Vec<_>>().chunks(7) {
            apply_batch(&mut joined, &batch(part.to_vec()), HERE, &mut gathered).unwrap();
        }

        assert_eq!(single, joined);
        let notices: Vec<_> = effects.iter().flat_map(|effect| effect.notices.clone()).collect();
        assert_eq!(gathered.notices, notices);
        assert!(notices.windows(2).all(|pair| pair[0].event.at() <= pair[1].event.at()));
        // Asked for here, in this run: every sixth.
        let numbers: Vec<_> = gathered.outcomes.iter().map(|(origin, _)| origin.number).collect();
        assert_eq!(numbers, (0..200).step_by(6).collect::<Vec<_>>());
        for (origin, outcome) in gathered.outcomes {
            assert_eq!(outcome, effects[origin.number as usize].outcome);
        }
    }

    /// What no replica may skip: the others might read it.
    #[test]
    fn a_command_that_cannot_be_read_is_an_error_before_anything_is_written() {
        let good = |step: &crate::chat::script::Step| {
            apply(&mut Model::default(), step.time_ms, &step.command).unwrap().outcome.is_ok()
        };
        let good = Script::new(1).find(good).unwrap().command.encode().unwrap();
        let unknown = rmp_serde::to_vec_named(&("ann", "1", "Fly")).unwrap();
        for bad in [b"\xc1".to_vec(), unknown, Vec::new()] {
            let (mut gathered, mut model) = (Gathered::default(), Model::default());
            let items = vec![item(1, 2, 1, good.clone()), item(1, 2, 2, bad)];
            let failed = apply_batch(&mut model, &batch(items), HERE, &mut gathered).unwrap_err();
            assert!(matches!(failed, BatchFailed::Format(FormatError::Decode(_))));
            assert_eq!((model, gathered), (Model::default(), Gathered::default()));
        }
    }

    #[test]
    fn a_newer_level_is_an_error_that_says_what_to_do() {
        let data = Batch { level: LEVEL + 1, time_ms: 1, items: vec![] }.encode().unwrap();
        let failed = apply_batch(&mut Model::default(), &data, HERE, &mut Gathered::default()).unwrap_err();
        assert!(failed.to_string().contains("run a newer replicated-chat"), "{failed}");
        let failed = apply_batch(&mut Model::default(), b"", HERE, &mut Gathered::default()).unwrap_err();
        assert!(matches!(failed, BatchFailed::Format(FormatError::Decode(_))));
    }

    #[test]
    fn a_store_may_wrap_each_item() {
        let commands = Script::new(1).take(2).map(|step| step.command.encode().unwrap());
        let items = (1..).zip(commands).map(|(number, command)| item(1, 2, number, command));
        let data = batch(items.collect());
        let mut seen = 0;
        let mut gathered = Gathered::default();
        apply_batch_with(&mut Model::default(), &data, HERE, &mut gathered, |_, _, _, _| {
            seen += 1;
            Ok(internal("rolled back"))
        })
        .unwrap();
        assert_eq!((seen, gathered.outcomes.len(), gathered.level), (2, 2, LEVEL));
    }
}
