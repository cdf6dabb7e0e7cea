//! Whether another cluster came in the place of this node's, or still lives beside it: asked of every
//! member that the settings or the chat itself know.

use std::time::Duration;

use chat_actors::founding::{Answer, Heard, Listed};
use chat_actors::membership::{Foundation, Node, Retirement};
use chat_actors::peer_link::Secret;

use crate::founding::hear_all;
use crate::settings::Settings;

/// How long a member has to answer; a closed port is an answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A member that answered, and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub name: String,
    pub peer: String,
    pub stands: Stands,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It is part of a founded chat.
    In { cluster: String, supersedes: Vec<String> },
    /// It has no chat.
    Nowhere,
    /// Somebody is there, and says no more than this.
    Unclear(String),
}

/// Everybody but this node: the settings' members, and those that the chat knows (perhaps elsewhere).
pub fn others(settings: &Settings, known: &[Node]) -> Vec<Listed> {
    let listed = settings.cluster.members.iter().map(|member| Listed {
        name: member.name.clone(),
        peer: member.peer.to_string(),
        public: member.public.to_string(),
    });
    let known = known.iter().map(|node| Listed {
        name: node.name.clone(),
        peer: node.peer.clone(),
        public: node.public.clone(),
    });
    let mut all: Vec<Listed> = Vec::new();
    for member in listed.chain(known).filter(|member| member.name != settings.node.name) {
        if !all.iter().any(|other| other.name == member.name && other.peer == member.peer) {
            all.push(member);
        }
    }
    all
}

/// Asks them all at once; gives those that are there. Needs an actix runtime.
pub async fn who_answers(members: &[Listed], secret: &Secret) -> Vec<Standing> {
    let heard = hear_all(members, secret, ANSWER_MAX).await;
    let standing = |(member, (_, heard)): (&Listed, (String, Heard))| {
        Some(Standing { name: member.name.clone(), peer: member.peer.clone(), stands: stands(heard)? })
    };
    members.iter().zip(heard).filter_map(standing).collect()
}

fn stands(heard: Heard) -> Option<Stands> {
    match heard {
        Heard::Silent => None,
        Heard::Refused(why) => Some(Stands::Unclear(why)),
        Heard::Answer(Answer { foundation: Foundation::Founded(record), supersedes, .. }) => {
            Some(Stands::In { cluster: record.cluster, supersedes })
        }
        Heard::Answer(_) => Some(Stands::Nowhere),
    }
}

/// The first of them whose cluster came in the place of this one, in words.
pub fn successor(standing: &[Standing], cluster: &str) -> Option<String> {
    standing.iter().find_map(|of| match &of.stands {
        Stands::In { cluster: new, supersedes } if supersedes.iter().any(|old| old == cluster) => {
            Some(format!(
                "cluster {new}, to which {} at {} belongs, came in the place of cluster {cluster}",
                of.name, of.peer
            ))
        }
        _ => None,
    })
}

/// What a node says that serves nobody any more.
pub fn farewell(node: &str, why: Retirement, word: &str) -> String {
    match why {
        Retirement::Superseded => {
            format!(
                "{node} serves nobody: {word}; keep a copy of its data_dir if you like, then empty it, and the node joins anew"
            )
        }
        Retirement::Removed => {
            format!("{node} was removed and serves nobody: {word}; empty its data_dir, and it may join anew")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(stands: Stands) -> Standing {
        Standing { name: "node2".into(), peer: "http://two".into(), stands }
    }

    #[test]
    fn only_a_cluster_that_names_the_old_one_succeeds_it() {
        let member = |cluster: &str, supersedes: &[&str]| {
            let supersedes = supersedes.iter().map(|&old| old.to_owned()).collect();
            standing(Stands::In { cluster: cluster.into(), supersedes })
        };
        for (stands, expected) in [
            (member("old", &[]), false),
            (member("new", &[]), false),
            (member("new", &["older"]), false),
            (member("new", &["older", "old"]), true),
            (standing(Stands::Nowhere), false),
            (standing(Stands::Unclear("no".into())), false),
        ] {
            let said = successor(std::slice::from_ref(&stands), "old");
            assert_eq!(said.is_some(), expected, "{stands:?}");
        }
    }
}
