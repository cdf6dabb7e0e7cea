//! How a chat begins: the pure core of founding.
//!
//! Every listed member must answer, and none may belong to a chat already: a majority is not enough,
//! since a majority of wiped disks must not found a second chat beside a living one. Only the first
//! listed member founds. It stores a record of its own (proposed), has each member store the same, and
//! when *all* hold it, it alone is the first to confirm it (founded); the others follow when they see
//! that. Nobody starts Raft or serves clients before that.
//!
//! So a record is founded for the first time only on the disk that drew it, and two different records
//! never are: to found another one, every member must hold that, and a founded one holds its own for good.
//! What a dead founder once asked may still be on its way, and the founder's disk may be set back to a record that
//! was given up. So each ask names the run of the member that it is for, which is another one whenever its process
//! starts and whenever its disk changes: nothing is done to a disk that is not as the founder has seen it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::ids::RaftId;
use crate::membership::{Foundation, Founding, Node};

/// A member as the settings list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    pub peer: String,
    pub public: String,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub name: String,
    /// Names this run of its process and its disk as it is now; never used again.
    pub run: String,
    /// The members in its settings.
    pub members: Vec<Listed>,
    pub foundation: Foundation,
    /// The clusters in whose place its own came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<String>,
    /// Drawn with its file.
    #[serde(default)]
    pub disk: String,
}

/// What became of asking one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Answer(Answer),
    /// It did not answer.
    Silent,
    /// It answered that it will not, or something else answered in its place.
    Refused(String),
}

/// What the founder asks of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Store this record and refuse any other from then on.
    Store(Founding),
    /// Drop the record of this cluster: it was never confirmed, and cannot be any more.
    Drop { cluster: String },
    /// Every member holds the record of this cluster.
    Confirm { cluster: String },
}

/// An ask, with the run of the member that the founder has heard. One that was meant for an earlier one
/// may be late by a lost disk, or by a record that was dropped since, and is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub run: String,
    pub ask: Ask,
    /// Members that the operator gave up: the chat is founded without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// What the founder has drawn, in case it founds.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// 32 hexadecimal digits.
    pub cluster: String,
    /// 16 hexadecimal digits.
    pub epoch: String,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask again a little later; the sentence says for whom or what this node waits.
    Wait(String),
    /// Store this record here as proposed.
    Store(Founding),
    /// Drop the record stored here: the settings have changed since.
    Drop,
    /// Ask these members, by name, then look again.
    Ask(Vec<(String, Request)>),
    /// Mark the record stored here as founded, then tell these members, by name; they would see it
    /// themselves a little later.
    Confirm { tell: Vec<(String, Request)> },
    /// The chat exists, and this node is part of it.
    Start(Founding),
    /// A living cluster is there, and this disk is empty: ask these of its nodes, by name, to be let in.
    Join { cluster: String, via: Vec<String> },
    /// The chat exists, or cannot come to exist, without this node. It keeps asking, since an
    /// operator may change that; the sentence says what is wrong.
    TakeNoPart(String),
}

/// Decides what the node `own` does next. `listed`: the members in its settings, itself included;
/// `heard`: what each *other* listed member answered just now, by name, all of one round.
pub fn next(
    own: &str,
    listed: &[Listed],
    foundation: &Foundation,
    heard: &[(String, Heard)],
    drawn: &Drawn,
) -> Step {
    next_without(own, listed, &[], foundation, heard, drawn)
}

/// As [`next`], when the operator gave some of the members up: the chat is founded without them.
pub fn next_without(
    own: &str,
    listed: &[Listed],
    without: &[String],
    foundation: &Foundation,
    heard: &[(String, Heard)],
    drawn: &Drawn,
) -> Step {
    let listed = &left(listed, without)[..];
    if let Foundation::Founded(record) = foundation {
        return match record.nodes.iter().any(|node| node.name == own) {
            true => Step::Start(record.clone()),
            false => Step::TakeNoPart(format!(
                "the chat on this disk was founded without {own}: this data_dir belongs to another node"
            )),
        };
    }
    let Some(founder) = listed.first() else {
        return Step::TakeNoPart("cluster.members lists nobody".to_owned());
    };
    if !listed.iter().any(|member| member.name == own) {
        return Step::TakeNoPart(format!("cluster.members does not list {own}"));
    }
    let stranger = |(name, heard): &(String, Heard)| {
        let (_, record, answer) = founded(name, heard).filter(|(name, _, answer)| answer.name != **name)?;
        Some(format!(
            "cluster.members lists {name}, but {} of the living cluster {} answers in its place",
            answer.name, record.cluster
        ))
    };
    if let Some(sentence) = heard.iter().find_map(stranger) {
        return Step::TakeNoPart(sentence);
    }
    if let Some(step) = beside(own, foundation, heard) {
        return step;
    }
    if let Some(obstacle) = obstacle(own, listed, without, heard) {
        return Step::Wait(obstacle);
    }
    if founder.name != own {
        return Step::Wait(format!("waiting for {} to found the chat", founder.name));
    }
    match found(listed, foundation, heard, drawn) {
        Step::Ask(asks) => Step::Ask(all_without(asks, without)),
        Step::Confirm { tell } => Step::Confirm { tell: all_without(tell, without) },
        step => step,
    }
}

/// The members that the operator did not give up.
pub fn left(listed: &[Listed], without: &[String]) -> Vec<Listed> {
    listed.iter().filter(|member| !without.contains(&member.name)).cloned().collect()
}

fn same_members(theirs: &[Listed], ours: &[Listed], without: &[String]) -> bool {
    left(theirs, without) == ours
}

fn all_without(asks: Vec<(String, Request)>, without: &[String]) -> Vec<(String, Request)> {
    asks.into_iter().map(|(name, ask)| (name, Request { without: without.to_vec(), ..ask })).collect()
}

/// What a member does when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is so already.
    Nothing,
    Store(Founding),
    Drop,
    Confirm,
}

/// Decides whether the node `own` does what the founder asks.
///
/// # Errors
/// A sentence that says why not.
pub fn obey(
    own: &str,
    run: &str,
    listed: &[Listed],
    foundation: &Foundation,
    request: &Request,
) -> Result<Deed, String> {
    if request.run != run {
        return Err(format!("{own} has started again, or its disk has changed, since it answered"));
    }
    match (&request.ask, foundation) {
        (Ask::Store(record), Foundation::Proposed(held) | Foundation::Founded(held)) if held == record => {
            Ok(Deed::Nothing)
        }
        (Ask::Store(record), Foundation::Empty)
            if matches_settings(record, &left(listed, &request.without)) =>
        {
            Ok(Deed::Store(record.clone()))
        }
        (Ask::Store(_), Foundation::Empty) => {
            Err(format!("{own} lists other members in its settings than the record that it is to store"))
        }
        (Ask::Store(_), Foundation::Proposed(held) | Foundation::Founded(held)) => {
            Err(format!("{own} holds another record already, of cluster {}", held.cluster))
        }
        (Ask::Drop { .. }, Foundation::Empty) => Ok(Deed::Nothing),
        (Ask::Drop { cluster }, Foundation::Proposed(held)) if held.cluster == *cluster => Ok(Deed::Drop),
        (Ask::Drop { .. }, Foundation::Proposed(held)) => {
            Err(format!("{own} holds the record of another cluster, {}", held.cluster))
        }
        (Ask::Drop { .. }, Foundation::Founded(held)) => {
            Err(format!("{own} belongs to the living cluster {}", held.cluster))
        }
        (Ask::Confirm { cluster }, Foundation::Proposed(held)) if held.cluster == *cluster => {
            Ok(Deed::Confirm)
        }
        (Ask::Confirm { cluster }, Foundation::Founded(held)) if held.cluster == *cluster => {
            Ok(Deed::Nothing)
        }
        (Ask::Confirm { cluster }, _) => Err(format!("{own} does not hold the record of cluster {cluster}")),
    }
}

/// Decides what the node `own`, whose settings name nodes of a running cluster to join, does next: `heard` is
/// what each of them answered, by address. It founds nothing.
pub fn join(own: &str, foundation: &Foundation, heard: &[(String, Heard)]) -> Step {
    if let Foundation::Founded(record) = foundation {
        return Step::Start(record.clone());
    }
    if let Some(step) = beside(own, foundation, heard) {
        return step;
    }
    let said = |(address, heard): &(String, Heard)| match heard {
        Heard::Refused(why) => format!("{address}: {why}"),
        Heard::Answer(answer) => format!("{address}: {} is not part of a chat yet", answer.name),
        Heard::Silent => format!("{address} does not answer"),
    };
    let said: Vec<_> = heard.iter().map(said).collect();
    Step::Wait(format!("waiting for a running cluster to join; {}", said.join(", ")))
}

/// Another member belongs to a chat already.
fn beside(own: &str, foundation: &Foundation, heard: &[(String, Heard)]) -> Option<Step> {
    let all: Vec<(&String, &Founding, &Answer)> =
        heard.iter().filter_map(|(name, heard)| founded(name, heard)).collect();
    let superseded = |cluster: &String| all.iter().any(|(.., answer)| answer.supersedes.contains(cluster));
    let living: Vec<_> = all.iter().filter(|(_, record, _)| !superseded(&record.cluster)).collect();
    let (name, record, _) = living.first()?;
    if let Some((other, theirs, _)) = living.iter().find(|(_, theirs, _)| theirs.cluster != record.cluster) {
        return Some(Step::TakeNoPart(format!(
            "{name} belongs to the living cluster {}, and {other} to the living cluster {}: list only nodes of one",
            record.cluster, theirs.cluster
        )));
    }
    Some(match foundation {
        // Somebody who knows that all hold it has said so by confirming it.
        Foundation::Proposed(held) if held == *record => Step::Confirm { tell: Vec::new() },
        Foundation::Proposed(held) => Step::TakeNoPart(format!(
            "{name} belongs to the living cluster {}, but {own} holds a record of cluster {}, which was never \
             confirmed; {own} takes no part and founds nothing",
            record.cluster, held.cluster
        )),
        Foundation::Empty | Foundation::Founded(_) => Step::Join {
            cluster: record.cluster.clone(),
            via: living.iter().map(|(name, ..)| (*name).clone()).collect(),
        },
    })
}

/// Why nothing can be done yet: somebody is silent, refuses, or has other settings.
fn obstacle(own: &str, listed: &[Listed], without: &[String], heard: &[(String, Heard)]) -> Option<String> {
    let others = || listed.iter().filter(|member| member.name != own);
    for member in others() {
        match said_by(heard, &member.name) {
            Some(Heard::Refused(why)) => return Some(format!("{} at {}: {why}", member.name, member.peer)),
            Some(Heard::Answer(answer)) if answer.name != member.name => {
                return Some(format!(
                    "{} answers as {}, but cluster.members lists it as {}",
                    member.peer, answer.name, member.name
                ));
            }
            Some(Heard::Answer(answer)) if !same_members(&answer.members, listed, without) => {
                return Some(format!(
                    "the settings of {own} and {} differ: {}",
                    member.name,
                    difference(own, listed, &member.name, &left(&answer.members, without))
                ));
            }
            Some(Heard::Answer(_) | Heard::Silent) | None => {}
        }
    }
    let silent: Vec<_> = others()
        .filter(|member| matches!(said_by(heard, &member.name), None | Some(Heard::Silent)))
        .map(|member| format!("{} at {}", member.name, member.peer))
        .collect();
    (!silent.is_empty()).then(|| format!("waiting for {}", silent.join(", ")))
}

/// The founder's own way, once all have answered, all list the same members, and none is founded.
fn found(listed: &[Listed], foundation: &Foundation, heard: &[(String, Heard)], drawn: &Drawn) -> Step {
    let drop = |held: &Founding| Ask::Drop { cluster: held.cluster.clone() };
    let Foundation::Proposed(record) = foundation else {
        // Whatever they hold was drawn by a disk that is no more: nobody can confirm it.
        let dropped = requests(heard, |held| held.map(drop));
        return if dropped.is_empty() { Step::Store(draw(listed, drawn)) } else { Step::Ask(dropped) };
    };
    if !matches_settings(record, listed) {
        return Step::Drop;
    }
    let asked = requests(heard, |held| match held {
        Some(held) if held == record => None,
        Some(held) => Some(drop(held)),
        None => Some(Ask::Store(record.clone())),
    });
    if !asked.is_empty() {
        return Step::Ask(asked);
    }
    Step::Confirm { tell: requests(heard, |_| Some(Ask::Confirm { cluster: record.cluster.clone() })) }
}

/// What to ask of each member, given the record that it holds.
fn requests(
    heard: &[(String, Heard)],
    ask: impl Fn(Option<&Founding>) -> Option<Ask>,
) -> Vec<(String, Request)> {
    let request = |(name, heard): &(String, Heard)| {
        let Heard::Answer(answer) = heard else { return None };
        let held = match &answer.foundation {
            Foundation::Proposed(record) => Some(record),
            Foundation::Empty | Foundation::Founded(_) => None,
        };
        Some((name.clone(), Request { run: answer.run.clone(), ask: ask(held)?, without: Vec::new() }))
    };
    heard.iter().filter_map(request).collect()
}

fn draw(listed: &[Listed], drawn: &Drawn) -> Founding {
    let node = |(member, raft_id): (&Listed, u64)| Node {
        name: member.name.clone(),
        raft_id: RaftId(raft_id),
        peer: member.peer.clone(),
        public: member.public.clone(),
    };
    Founding {
        cluster: drawn.cluster.clone(),
        epoch: drawn.epoch.clone(),
        nodes: listed.iter().zip(1..).map(node).collect(),
    }
}

fn matches_settings(record: &Founding, listed: &[Listed]) -> bool {
    let same = |(node, member): (&Node, &Listed)| {
        node.name == member.name && node.peer == member.peer && node.public == member.public
    };
    record.nodes.len() == listed.len() && record.nodes.iter().zip(listed).all(same)
}

fn said_by<'a>(heard: &'a [(String, Heard)], name: &str) -> Option<&'a Heard> {
    heard.iter().find(|(who, _)| who == name).map(|(_, heard)| heard)
}

fn founded<'a>(name: &'a String, heard: &'a Heard) -> Option<(&'a String, &'a Founding, &'a Answer)> {
    match heard {
        Heard::Answer(answer) => match &answer.foundation {
            Foundation::Founded(record) => Some((name, record, answer)),
            Foundation::Empty | Foundation::Proposed(_) => None,
        },
        Heard::Silent | Heard::Refused(_) => None,
    }
}

/// Names the first difference between two lists of members.
fn difference(own: &str, ours: &[Listed], other: &str, theirs: &[Listed]) -> String {
    let mut said = String::new();
    let names =
        |list: &[Listed]| list.iter().map(|member| member.name.clone()).collect::<Vec<_>>().join(", ");
    let differing = ours.iter().zip(theirs).find(|(our, their)| our != their);
    // Writing into a string cannot fail.
    let _infallible = match differing {
        Some((our, their)) if our.name == their.name && our.peer != their.peer => {
            write!(said, "{} has peer {} in one and {} in the other", our.name, our.peer, their.peer)
        }
        Some((our, their)) if our.name == their.name => {
            write!(said, "{} has public {} in one and {} in the other", our.name, our.public, their.public)
        }
        _ => write!(said, "{own} lists {}; {other} lists {}", names(ours), names(theirs)),
    };
    said
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
