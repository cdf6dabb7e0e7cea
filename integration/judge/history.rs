//! What clients did in rooms and were told, and the verdict on it.
//!
//! Linearizability holds for the whole when it holds for each object alone (Herlihy and Wing, theorem 1), so the
//! history is judged by object: a room is a log to which messages are appended, a message is a register whose edits
//! count its version and may expect one. A read of a room reads that log's length and each register that it shows.
//! Beyond that every read, also a local one, must show the room exactly as of the `at` that it names, and what one
//! connection reads never goes back.
//!
//! The end of a room, read when all was over, tells the order of its messages; so it is known which sends without an
//! answer took effect, and the search has little left to guess.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::search::{Model, NoOrder, Timed, linearize};

/// How an operation ended, for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<T> {
    Done(T),
    /// It never took effect and never will.
    Refused,
    /// It may have taken effect, or may yet.
    Unknown,
}

/// A message as a read showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub seq: u64,
    pub id: String,
    pub version: u64,
    pub text: String,
}

#[derive(Clone, Debug)]
pub enum Op {
    /// Done: its seq and its `at`. Ids and texts are used once.
    Send { id: String, text: String, end: End<(u64, u64)> },
    /// Done: the new version and its `at`.
    Edit { seq: u64, expects: Option<u64>, text: String, end: End<(u64, u64)> },
    /// An edit that was refused because the version was another: this one.
    Missed { seq: u64, expects: u64, current: u64 },
    /// The newest messages: all after those that are not shown.
    Read { at: u64, local: bool, shown: Vec<Shown> },
}

/// One operation of one connection.
#[derive(Clone, Debug)]
pub struct Call {
    /// The calls of one are compared with each other.
    pub connection: u64,
    pub room: u64,
    pub called: u64,
    pub answered: Option<u64>,
    pub op: Op,
}

/// Everything that clients did, and how the rooms looked when all was over.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub calls: Vec<Call>,
    /// All messages of each room, in its order.
    pub rooms: BTreeMap<u64, Vec<Shown>>,
    /// Messages, by room and seq, that more was done to than sending and editing: only their places are judged.
    pub left_out: BTreeSet<(u64, u64)>,
}

impl History {
    /// What cannot have happened; nothing when all is well.
    pub fn verdict(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (&room, end) in &self.rooms {
            let calls: Vec<&Call> = self.calls.iter().filter(|call| call.room == room).collect();
            let before = wrong.len();
            let is_judged = |seq: u64| !self.left_out.contains(&(room, seq));
            check_texts(&calls, end, &is_judged, &mut wrong);
            check_log(&calls, end, &mut wrong);
            check_registers(&calls, end, &is_judged, &mut wrong);
            check_prefixes(&calls, &is_judged, &mut wrong);
            for line in &mut wrong[before..] {
                *line = format!("room {room}: {line}");
            }
        }
        check_connections(&self.calls, &mut wrong);
        if let Some(call) = self.calls.iter().find(|call| !self.rooms.contains_key(&call.room)) {
            wrong.push(format!("the end of room {} was not read", call.room));
        }
        wrong
    }
}

/// What was read was written, by a call that was not refused, and stands where it was said to.
fn check_texts(calls: &[&Call], end: &[Shown], is_judged: &dyn Fn(u64) -> bool, wrong: &mut Vec<String>) {
    let mut written: HashMap<(&str, &str), bool> = HashMap::new();
    for call in calls {
        match &call.op {
            Op::Send { id, text, end } => {
                *written.entry((id, text)).or_default() |= *end != End::Refused;
            }
            Op::Edit { seq, text, end: outcome, .. } => {
                if let Some(message) = end.get(place(*seq)) {
                    *written.entry((&message.id, text)).or_default() |= *outcome != End::Refused;
                }
            }
            Op::Missed { .. } | Op::Read { .. } => {}
        }
    }
    let reads = calls.iter().filter_map(|call| match &call.op {
        Op::Read { shown, .. } => Some(shown.as_slice()),
        _ => None,
    });
    let mut told = HashSet::new();
    for message in reads.chain([end]).flatten().filter(|message| is_judged(message.seq)) {
        let fault = match written.get(&(message.id.as_str(), message.text.as_str())) {
            None => "was never written there",
            Some(false) => "was refused and is there",
            Some(true) if end.get(place(message.seq)).is_none_or(|last| last.id != message.id) => {
                "stands elsewhere in the end"
            }
            Some(true) => continue,
        };
        if told.insert((fault, &message.id, &message.text)) {
            wrong.push(format!("{message:?} {fault}"));
        }
    }
    let ids: HashSet<&String> = end.iter().map(|message| &message.id).collect();
    if ids.len() != end.len() {
        wrong.push("a message stands there twice".to_owned());
    }
    if let Some((index, message)) =
        end.iter().enumerate().find(|(index, message)| message.seq != *index as u64 + 1)
    {
        wrong.push(format!("a hole: {message:?} is number {}", index + 1));
    }
}

/// The room as a log, of which only the length need be kept: its order is known.
struct Log<'a> {
    end: &'a [Shown],
}

#[derive(Clone, Copy, Debug)]
enum LogOp {
    Append { seq: u64 },
    Length(u64),
}

impl Model for Log<'_> {
    type State = u64;
    type Op = LogOp;

    fn begin(&self) -> u64 {
        0
    }

    fn step(&self, length: &u64, op: &LogOp) -> Option<u64> {
        match *op {
            LogOp::Append { seq } => (seq == *length + 1 && place(seq) < self.end.len()).then_some(seq),
            LogOp::Length(seen) => (seen == *length).then_some(seen),
        }
    }

    fn is_pure(&self, op: &LogOp) -> bool {
        matches!(op, LogOp::Length(_))
    }
}

fn check_log(calls: &[&Call], end: &[Shown], wrong: &mut Vec<String>) {
    let places: HashMap<&str, u64> = end.iter().map(|message| (message.id.as_str(), message.seq)).collect();
    let mut ops = Vec::new();
    let mut sources = Vec::new();
    for call in calls {
        let op = match &call.op {
            Op::Send { id, end: outcome, .. } => match (outcome, places.get(id.as_str())) {
                (End::Done((said, _)), Some(seq)) if said == seq => LogOp::Append { seq: *seq },
                (End::Done(said), is) => {
                    wrong.push(format!("{id} was done as {said:?}, and is at {is:?}"));
                    continue;
                }
                (End::Refused | End::Unknown, None) => continue,
                (End::Refused, Some(_)) => continue,
                (End::Unknown, Some(seq)) => LogOp::Append { seq: *seq },
            },
            Op::Read { local: false, shown, .. } => LogOp::Length(shown.last().map_or(0, |last| last.seq)),
            _ => continue,
        };
        ops.push(Timed { called: call.called, answered: call.answered, must: true, op });
        sources.push(*call);
    }
    search(&Log { end }, ops, &sources, "the order of messages", wrong);
}

/// A message: its version and its text.
struct Register<'a> {
    first: &'a str,
}

#[derive(Clone, Debug)]
enum Touch<'a> {
    Edit { expects: Option<u64>, text: &'a str, becomes: Option<u64> },
    Missed { expects: u64, current: u64 },
    Seen { version: u64, text: &'a str },
}

impl<'a> Model for Register<'a> {
    type State = (u64, &'a str);
    type Op = Touch<'a>;

    fn begin(&self) -> Self::State {
        (1, self.first)
    }

    fn step(&self, state: &Self::State, op: &Touch<'a>) -> Option<Self::State> {
        let (version, present) = *state;
        match *op {
            // One that brings nothing new is no change.
            Touch::Edit { expects, text, becomes: None } if text == present => {
                expects.is_none_or(|expected| expected == version).then_some(*state)
            }
            Touch::Edit { expects, text, becomes } => {
                let allowed = expects.is_none_or(|expected| expected == version);
                let fits = becomes.is_none_or(|becomes| becomes == version + 1);
                (allowed && fits).then_some((version + 1, text))
            }
            Touch::Missed { expects, current } => {
                (current == version && expects != version).then_some(*state)
            }
            Touch::Seen { version, text } => (*state == (version, text)).then_some(*state),
        }
    }

    fn is_pure(&self, op: &Touch<'a>) -> bool {
        !matches!(op, Touch::Edit { .. })
    }
}

fn check_registers(calls: &[&Call], end: &[Shown], is_judged: &dyn Fn(u64) -> bool, wrong: &mut Vec<String>) {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut touched: BTreeMap<u64, Vec<(Timed<Touch<'_>>, &Call)>> = BTreeMap::new();
    let mut seen: BTreeMap<u64, Vec<(Timed<Touch<'_>>, &Call)>> = BTreeMap::new();
    for call in calls {
        let timed = |must, op| (Timed { called: call.called, answered: call.answered, must, op }, *call);
        match &call.op {
            Op::Send { id, text, .. } => {
                first.insert(id, text);
            }
            Op::Edit { end: End::Refused, .. } => {}
            Op::Edit { seq, expects, text, end } => {
                let becomes = match end {
                    End::Done((version, _)) => Some(*version),
                    End::Refused | End::Unknown => None,
                };
                let edit = timed(becomes.is_some(), Touch::Edit { expects: *expects, text, becomes });
                touched.entry(*seq).or_default().push(edit);
            }
            Op::Missed { seq, expects, current } => {
                let missed = timed(true, Touch::Missed { expects: *expects, current: *current });
                touched.entry(*seq).or_default().push(missed);
            }
            Op::Read { local: false, shown, .. } => {
                for message in shown {
                    let look = timed(true, Touch::Seen { version: message.version, text: &message.text });
                    seen.entry(message.seq).or_default().push(look);
                }
            }
            Op::Read { local: true, .. } => {}
        }
    }
    for message in end.iter().filter(|message| is_judged(message.seq)) {
        let Some(text) = first.get(message.id.as_str()) else { continue };
        let mut all = touched.remove(&message.seq).unwrap_or_default();
        all.extend(seen.remove(&message.seq).unwrap_or_default());
        let (mut ops, sources): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let last = Touch::Seen { version: message.version, text: &message.text };
        ops.push(Timed { called: u64::MAX, answered: None, must: true, op: last });
        let what = format!("the edits of message {}", message.seq);
        search(&Register { first: text }, ops, &sources, &what, wrong);
    }
}

/// Says what does not fit; `sources` are the calls of the first operations.
fn search<M: Model<Op: Clone>>(
    model: &M,
    ops: Vec<Timed<M::Op>>,
    sources: &[&Call],
    what: &str,
    wrong: &mut Vec<String>,
) {
    let mut order: Vec<usize> = (0..ops.len()).collect();
    order.sort_by_key(|place| ops[*place].called);
    match linearize(model, ops) {
        Ok(()) => {}
        Err(NoOrder::TooHard) => wrong.push(format!("{what}: too much may have happened to tell")),
        Err(NoOrder::Stuck { taken, at }) => {
            let source = order.get(at).and_then(|place| sources.get(*place));
            let stuck = source.map_or("the end of the room".to_owned(), |call| format!("{call:?}"));
            wrong.push(format!(
                "{what}: no order explains it; after {taken} operations this does not fit: {stuck}"
            ));
        }
    }
}

/// Every read shows the room as of the `at` that it names: all that was done by then, and nothing else.
fn check_prefixes(calls: &[&Call], is_judged: &dyn Fn(u64) -> bool, wrong: &mut Vec<String>) {
    let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
    let mut edited: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for call in calls {
        match &call.op {
            Op::Send { end: End::Done((seq, at)), .. } => {
                sent.insert(*seq, *at);
            }
            Op::Edit { seq, end: End::Done((version, at)), .. } => {
                edited.entry(*seq).or_default().push((*version, *at));
            }
            _ => {}
        }
    }
    for call in calls {
        let Op::Read { at, shown, .. } = &call.op else { continue };
        let last = shown.last().map_or(0, |message| message.seq);
        // Seqs rise with `at`, so the neighbours of the end tell.
        if let Some((seq, done)) = sent.range(..=last).next_back()
            && done > at
        {
            wrong.push(format!("as of {at} message {seq} is shown, which was sent at {done}: {call:?}"));
        }
        if let Some((seq, done)) = sent.range(last + 1..).next()
            && done <= at
        {
            wrong.push(format!("as of {at} message {seq} is not shown, which was sent at {done}: {call:?}"));
        }
        let hole = shown.windows(2).find(|pair| pair[1].seq != pair[0].seq + 1);
        if let Some(pair) = hole {
            wrong.push(format!("a hole between {} and {}: {call:?}", pair[0].seq, pair[1].seq));
        }
        for message in shown.iter().filter(|message| is_judged(message.seq)) {
            for (version, done) in edited.get(&message.seq).into_iter().flatten() {
                if (done <= at) != (*version <= message.version) {
                    let what = format!("version {version} of message {}, made at {done}", message.seq);
                    wrong.push(format!("as of {at} {what}, is wrongly there or missing: {call:?}"));
                }
            }
        }
    }
}

/// What one connection reads is never older than what it has read or done before.
fn check_connections(calls: &[Call], wrong: &mut Vec<String>) {
    let mut by_connection: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        by_connection.entry(call.connection).or_default().push(call);
    }
    for calls in by_connection.into_values() {
        let mut answers: Vec<(u64, u64)> = calls
            .iter()
            .filter_map(|call| {
                let at = match &call.op {
                    Op::Send { end: End::Done((_, at)), .. } | Op::Edit { end: End::Done((_, at)), .. } => at,
                    Op::Read { at, .. } => at,
                    _ => return None,
                };
                Some((call.answered?, *at))
            })
            .collect();
        answers.sort_unstable();
        // The highest `at` that was answered so far.
        let mut highest = 0;
        for answer in &mut answers {
            highest = highest.max(answer.1);
            answer.1 = highest;
        }
        for call in calls {
            let Op::Read { at, .. } = &call.op else { continue };
            let before = answers.partition_point(|(answered, _)| *answered < call.called);
            if let Some((_, known)) = before.checked_sub(1).map(|place| answers[place])
                && known > *at
            {
                wrong.push(format!("a connection knew of {known}, and reads as of {at}: {call:?}"));
            }
        }
    }
}

/// Where a seq stands in a list that begins with 1.
fn place(seq: u64) -> usize {
    usize::try_from(seq).unwrap_or(usize::MAX).wrapping_sub(1)
}
