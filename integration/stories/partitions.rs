//! Nodes that lose sight of each other without a word, wholly or in one direction, for once or again and again.
//!
//! Each node is in a network namespace of its own; where there are none, these stories say that they are left out.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::chatter::Chatter;
use crate::cluster::{Client, Cluster, Network, number};

use super::chaos::{begin_to_chat, end_and_check, wait_for_progress};

/// Some election timeouts: whoever would disturb the rest has had the time for it.
const WATCHED: Duration = Duration::from_secs(3);
const NO_LIMIT: &str = "[limits]\nmessages_per_second = 0";

/// Who leads, in which term, as all but one node say.
#[derive(Debug, PartialEq, Eq)]
struct Reign {
    leader: String,
    term: u64,
}

/// Waits until all the nodes at these places agree who leads, and that is not `gone`.
async fn reign(cluster: &Cluster, places: &[usize], gone: Option<&str>) -> Reign {
    let what = format!("{places:?} to agree on a leader other than {gone:?}");
    let agreed = async || {
        let mut agreed: Option<Reign> = None;
        for place in places {
            let status = cluster.nodes[*place].status().await?;
            let leader = status["leader"].as_str().filter(|leader| Some(*leader) != gone)?.to_owned();
            let here = Reign { leader, term: number(&status, "term") };
            if status["quorum"] != true || agreed.as_ref().is_some_and(|agreed| *agreed != here) {
                return None;
            }
            agreed = Some(here);
        }
        agreed
    };
    cluster.wait_for(&what, agreed).await
}

fn all_but(cluster: &Cluster, place: usize) -> Vec<usize> {
    (0..cluster.nodes.len()).filter(|other| *other != place).collect()
}

/// Waits until this node says whether it has a majority.
async fn quorum_is(cluster: &Cluster, place: usize, quorum: bool) {
    let node = &cluster.nodes[place];
    let what = format!("{} to say that its majority is {}", node.name, if quorum { "there" } else { "gone" });
    let says = async || node.status().await.filter(|status| status["quorum"] == quorum);
    cluster.wait_for(&what, says).await;
}

/// Nothing is acknowledged there, and what was there before can be read.
async fn only_local_reads(ann: &mut Client, room: u64) {
    for (op, fields) in [("send", json!({"room": room, "text": "alone"})), ("history", json!({"room": room}))]
    {
        let reply = ann.ask(op, fields).await;
        let code = reply["error"]["code"].as_str().unwrap_or_default();
        assert!(["unavailable", "timeout"].contains(&code), "{op}: {reply}");
    }
    let local = ann.ok("history", json!({"room": room, "read": "local"})).await;
    assert_eq!(local["messages"][0]["text"], "there before");
}

/// A leader that is cut off in silence: the rest goes on, it serves local reads, and its return is not noticed.
#[actix::test]
async fn an_isolated_leader_is_replaced_and_comes_back_unnoticed() {
    let Some((mut network, mut cluster)) = Network::start(5, NO_LIMIT).await else { return };
    let old = cluster.leader().await;
    let rest = all_but(&cluster, old);
    let mut ann = cluster.register(old, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "there before").await;
    let mut bob = cluster.client(rest[0]).await;
    bob.hello_as(&ann).await;
    cluster.wait_until_equal().await;

    network.isolate(old);
    let begun = Instant::now();
    bob.send(room, "the rest goes on").await;
    eprintln!("isolated leader: a write of the rest was acknowledged after {:?}", begun.elapsed());
    quorum_is(&cluster, old, false).await;
    eprintln!("isolated leader: it says so after {:?}", begun.elapsed());
    only_local_reads(&mut ann, room).await;

    let name = cluster.nodes[old].name.clone();
    let before = reign(&cluster, &rest, Some(&name)).await;
    network.heal();
    let healed = Instant::now();
    let everybody: Vec<usize> = (0..5).collect();
    let after = reign(&cluster, &everybody, None).await;
    eprintln!("isolated leader: it hears the new one {:?} after the cut is healed", healed.elapsed());
    assert_eq!(after, before, "it came back and somebody else was elected");
    cluster.equal_tables().await;
    eprintln!("isolated leader: it has all {:?} after the cut is healed", healed.elapsed());
    let read = ann.ok("history", json!({"room": room})).await;
    assert_eq!(read["messages"][1]["text"], "the rest goes on");
}

/// Two parts: the smaller one, with the leader, stops; the larger one goes on.
#[actix::test]
async fn the_larger_part_goes_on() {
    let Some((mut network, mut cluster)) = Network::start(5, NO_LIMIT).await else { return };
    let old = cluster.leader().await;
    let chatters = begin_to_chat(&mut cluster, 5, Duration::from_millis(10)).await;
    let (beside, rest) = ((old + 1) % 5, [(old + 2) % 5, (old + 3) % 5, (old + 4) % 5]);
    for here in [old, beside] {
        for there in rest {
            network.cut_both(here, there);
        }
    }
    for place in [old, beside] {
        quorum_is(&cluster, place, false).await;
    }
    reign(&cluster, &rest, Some(&cluster.nodes[old].name)).await;
    wait_for_progress(&cluster, &chatters).await;
    network.heal();
    wait_for_progress(&cluster, &chatters).await;
    end_and_check(&mut cluster, chatters).await;
}

/// Five nodes on which people write, with a leader that is to stay.
struct Peace {
    network: Network,
    cluster: Cluster,
    chatters: Vec<Chatter>,
    leader: usize,
}

impl Peace {
    async fn begin() -> Option<Self> {
        let (network, mut cluster) = Network::start(5, NO_LIMIT).await?;
        let chatters = begin_to_chat(&mut cluster, 5, Duration::from_millis(10)).await;
        wait_for_progress(&cluster, &chatters).await;
        let leader = cluster.leader().await;
        Some(Self { network, cluster, chatters, leader })
    }

    /// Whatever is done to the network, all but `odd` keep the leader that they have, also when all is healed.
    async fn undisturbed(&mut self, what: &str, odd: usize, strike: impl AsyncFnOnce(&mut Network)) {
        let rest = all_but(&self.cluster, odd);
        let before = reign(&self.cluster, &rest, None).await;
        strike(&mut self.network).await;
        let after = reign(&self.cluster, &rest, None).await;
        assert_eq!(after, before, "{what}: the rest was disturbed\n{}", self.cluster.log_tails());
        self.heals(before, what).await;
        wait_for_progress(&self.cluster, &self.chatters).await;
    }

    /// All is as it was, and who comes back disturbs nobody.
    async fn heals(&mut self, before: Reign, what: &str) {
        self.network.heal();
        let everybody: Vec<usize> = (0..self.cluster.nodes.len()).collect();
        let healed = reign(&self.cluster, &everybody, None).await;
        assert_eq!(healed, before, "{what}: its return disturbed the rest\n{}", self.cluster.log_tails());
    }

    async fn end(mut self) {
        end_and_check(&mut self.cluster, self.chatters).await;
    }
}

/// One follower hears and is not heard, is heard and does not hear, does not see the leader, sees only the leader.
#[actix::test]
async fn a_half_partitioned_follower_disturbs_nobody() {
    let Some(mut peace) = Peace::begin().await else { return };
    let leader = peace.leader;
    let odd = (leader + 1) % 5;
    let others: Vec<usize> = (0..5).filter(|place| ![leader, odd].contains(place)).collect();
    peace
        .undisturbed("it is not heard", odd, async |network| {
            network.silence(odd);
            actix::clock::sleep(WATCHED).await;
        })
        .await;
    peace
        .undisturbed("it does not hear", odd, async |network| {
            network.deafen(odd);
            actix::clock::sleep(WATCHED).await;
        })
        .await;
    peace
        .undisturbed("it does not see the leader", odd, async |network| {
            network.cut_both(odd, leader);
            actix::clock::sleep(WATCHED).await;
        })
        .await;
    peace
        .undisturbed("it hears all but the leader, who hears it", odd, async |network| {
            network.cut(leader, odd);
            actix::clock::sleep(WATCHED).await;
        })
        .await;
    peace
        .undisturbed("it sees only the leader", odd, async |network| {
            others.iter().for_each(|other| network.cut_both(odd, *other));
            actix::clock::sleep(WATCHED).await;
        })
        .await;
    peace.end().await;
}

/// A follower comes and goes, each time for as long as an election takes, more or less.
#[actix::test]
async fn a_flapping_follower_disturbs_nobody() {
    let Some(mut peace) = Peace::begin().await else { return };
    let (leader, odd) = (peace.leader, (peace.leader + 1) % 5);
    peace
        .undisturbed("it flaps", odd, async |network| {
            for round in 0..12_u64 {
                network.isolate(odd);
                actix::clock::sleep(Duration::from_millis(150 + round * 100)).await;
                network.heal();
                actix::clock::sleep(Duration::from_millis(20 + round % 3 * 120)).await;
            }
        })
        .await;
    peace
        .undisturbed("its link to the leader flaps", odd, async |network| {
            for round in 0..12_u64 {
                network.cut_both(odd, leader);
                actix::clock::sleep(Duration::from_millis(150 + round * 100)).await;
                network.heal();
                actix::clock::sleep(Duration::from_millis(20 + round % 3 * 120)).await;
            }
        })
        .await;
    peace.end().await;
}

/// A leader that half the others do not see keeps its majority and its place.
#[actix::test]
async fn a_leader_that_sees_a_majority_stays() {
    let Some(mut peace) = Peace::begin().await else { return };
    let leader = peace.leader;
    let before = reign(&peace.cluster, &[leader], None).await;
    peace.network.cut_both(leader, (leader + 1) % 5);
    peace.network.cut_both(leader, (leader + 2) % 5);
    actix::clock::sleep(WATCHED).await;
    wait_for_progress(&peace.cluster, &peace.chatters).await;
    let seen = [leader, (leader + 3) % 5, (leader + 4) % 5];
    assert_eq!(reign(&peace.cluster, &seen, None).await, before, "{}", peace.cluster.log_tails());
    peace.heals(before, "a leader that lost two").await;
    peace.end().await;
}

/// A leader that hears and is not heard, or the other way round, is replaced, and disturbs nobody afterwards.
#[actix::test]
async fn a_half_partitioned_leader_is_replaced() {
    let Some(mut peace) = Peace::begin().await else { return };
    for way in ["not heard", "deaf"] {
        let old = peace.cluster.leader().await;
        let (name, rest) = (peace.cluster.nodes[old].name.clone(), all_but(&peace.cluster, old));
        let begun = Instant::now();
        if way == "deaf" {
            peace.network.deafen(old);
        } else {
            peace.network.silence(old);
        }
        let before = reign(&peace.cluster, &rest, Some(&name)).await;
        eprintln!("a leader that is {way}: replaced after {:?}", begun.elapsed());
        actix::clock::sleep(WATCHED).await;
        wait_for_progress(&peace.cluster, &peace.chatters).await;
        assert_eq!(reign(&peace.cluster, &rest, Some(&name)).await, before, "{}", peace.cluster.log_tails());
        peace.heals(before, way).await;
    }
    peace.end().await;
}

/// A leader that sees one other only, who sees everybody: it is replaced, and does not win that one back.
#[actix::test]
async fn a_leader_that_sees_one_other_is_replaced() {
    let Some(mut peace) = Peace::begin().await else { return };
    let old = peace.leader;
    let (name, rest) = (peace.cluster.nodes[old].name.clone(), all_but(&peace.cluster, old));
    for place in 2..5 {
        peace.network.cut_both(old, (old + place) % 5);
    }
    let before = reign(&peace.cluster, &rest, Some(&name)).await;
    actix::clock::sleep(WATCHED).await;
    wait_for_progress(&peace.cluster, &peace.chatters).await;
    assert_eq!(reign(&peace.cluster, &rest, Some(&name)).await, before, "{}", peace.cluster.log_tails());
    peace.heals(before, "a leader that sees one other").await;
    peace.end().await;
}
