//! Nodes are killed and paused, two of five at a time, while people write and listen.
//!
//! `CHAOS_SECONDS=60 CHAOS_CLIENTS=16` makes it long; a summary is printed in any case.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;
use serde_json::json;

use crate::cluster::chatter::{Chatter, Plan, Record};
use crate::cluster::replies::each;
use crate::cluster::{Client, Cluster, number};

const SECONDS_DEFAULT: u64 = 12;
const CLIENTS_DEFAULT: u64 = 6;
const ROOMS: usize = 2;
/// After a fault of a minority, writes go on well within this.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(20);

const NO_LIMIT: &str = "[limits]\nmessages_per_second = 0";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillLeader,
    KillLeaderAndAnother,
    KillTwo,
    PauseTwo,
    PauseLeader,
    PauseOneKillOne,
    TerminateLeader,
}

const FAULTS: [Fault; 7] = [
    Fault::KillLeader,
    Fault::PauseTwo,
    Fault::KillLeaderAndAnother,
    Fault::PauseLeader,
    Fault::KillTwo,
    Fault::PauseOneKillOne,
    Fault::TerminateLeader,
];

/// Somebody in each of so many places, all in one of the rooms, writing.
pub async fn begin_to_chat(cluster: &mut Cluster, people: u64, pause: Duration) -> Vec<Chatter> {
    let mut admin = cluster.register(0, "admin").await;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(admin.create_room(&format!("room {number}"), "public").await);
    }
    let mut clients = Vec::new();
    let up: Vec<usize> = (0..cluster.nodes.len()).filter(|place| cluster.nodes[*place].is_up()).collect();
    for number in 0..people {
        let place = up[usize::try_from(number).unwrap() % up.len()];
        let mut client = cluster.register(place, &format!("user{number}")).await;
        let room = rooms[clients.len() % ROOMS];
        client.ok("join", json!({"room": room})).await;
        clients.push((client, room));
    }
    cluster.wait_until_equal().await;
    let mut last = cluster.client(0).await;
    last.hello_as(&admin).await;
    let begin = |(client, room): (Client, u64)| {
        Chatter::start(Plan {
            urls: cluster.urls(),
            name: client.name.clone(),
            token: client.token.clone(),
            room,
            pause,
            cursor: number(&last.welcome, "cursor"),
            epoch: last.welcome["epoch"].clone(),
        })
    };
    clients.into_iter().map(begin).collect()
}

/// Waits until everybody has had a few more writes acknowledged.
pub async fn wait_for_progress(cluster: &Cluster, chatters: &[Chatter]) {
    let before: Vec<usize> = chatters.iter().map(|chatter| chatter.record().acked.len()).collect();
    let is_further = async || {
        let wrong = chatters.iter().find(|chatter| !chatter.record().wrong.is_empty());
        if let Some(chatter) = wrong {
            panic!("{}: {:?}\n{}", chatter.plan.name, chatter.record().wrong, cluster.log_tails());
        }
        let mut pairs = chatters.iter().zip(&before);
        pairs.all(|(chatter, before)| chatter.record().acked.len() >= before + 2).then_some(())
    };
    cluster.wait_at_most(PROGRESS_TIMEOUT, "everybody's writes to go on", is_further).await;
}

/// Stops the writers and checks that what was acknowledged is there, once, in one order, at every
/// node and at every listener.
pub async fn end_and_check(cluster: &mut Cluster, chatters: Vec<Chatter>) -> Vec<Record> {
    for chatter in &chatters {
        chatter.stop_writing();
    }
    let are_settled = async || chatters.iter().all(Chatter::is_settled).then_some(());
    cluster.wait_for("every write to be settled", are_settled).await;
    let tables = cluster.equal_tables().await;

    let mut rooms: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for chatter in &chatters {
        let room = chatter.plan.room;
        if let Entry::Vacant(vacant) = rooms.entry(room) {
            let mut client = cluster.client(0).await;
            client.hello(&chatter.plan.token, json!({})).await;
            vacant.insert(whole_history(&mut client, room).await);
        }
        let all = rooms[&room].len();
        let what = format!("{} to hear all {all} messages", chatter.plan.name);
        cluster.wait_for(&what, async || (chatter.record().heard.len() >= all).then_some(())).await;
    }
    assert_eq!(rooms.values().map(Vec::len).sum::<usize>(), tables["messages"].len());

    let mut records = Vec::new();
    let mut tried = HashSet::new();
    for chatter in chatters {
        let (name, room) = (chatter.plan.name.clone(), chatter.plan.room);
        let record = chatter.leave().await;
        assert!(record.wrong.is_empty(), "{name}: {:?}", record.wrong);
        assert!(record.heard == rooms[&room], "{name} heard another order");
        let places: HashMap<&String, usize> =
            rooms[&room].iter().enumerate().map(|(place, id)| (id, place)).collect();
        assert_eq!(places.len(), rooms[&room].len(), "an id stands twice in room {room}");
        for acked in &record.acked {
            let place = places.get(&acked.id).copied();
            let seq = usize::try_from(acked.seq).unwrap();
            assert_eq!(place, Some(seq - 1), "{name}'s {acked:?} is not where it was");
        }
        for id in &record.refused_for_good {
            assert!(!places.contains_key(id), "{name}'s {id} was refused and is there");
        }
        tried.extend(record.tried.iter().cloned());
        records.push(record);
    }
    assert!(rooms.values().flatten().all(|id| tried.contains(id)), "a message that nobody wrote");
    records
}

/// The ids of all messages of a room, in its order.
async fn whole_history(client: &mut Client, room: u64) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let page = client.ok("history", json!({"room": room, "after": ids.len(), "limit": 200})).await;
        let seqs = each(&page["messages"], "seq");
        for (seq, id) in seqs.iter().zip(each(&page["messages"], "id")) {
            assert_eq!(seq.as_u64(), Some(ids.len() as u64 + 1), "a hole in room {room}");
            ids.push(id.as_str().unwrap().to_owned());
        }
        if page["more"] == false {
            return ids;
        }
    }
}

async fn strike(cluster: &mut Cluster, fault: Fault) {
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..cluster.nodes.len()).filter(|place| *place != leader).collect();
    let all: Vec<usize> = (0..cluster.nodes.len()).collect();
    let mut dice = rand::rng();
    let another = *others.choose(&mut dice).unwrap();
    let two: Vec<usize> = all.choose_multiple(&mut dice, 2).copied().collect();
    let nodes = &mut cluster.nodes;
    match fault {
        Fault::KillLeader => nodes[leader].kill(),
        Fault::KillLeaderAndAnother => {
            nodes[another].kill();
            nodes[leader].kill();
        }
        Fault::KillTwo => two.iter().for_each(|place| nodes[*place].kill()),
        Fault::PauseTwo => two.iter().for_each(|place| nodes[*place].pause()),
        Fault::PauseLeader => nodes[leader].pause(),
        Fault::PauseOneKillOne => {
            nodes[two[0]].pause();
            nodes[two[1]].kill();
        }
        Fault::TerminateLeader => {
            let ended = nodes[leader].terminate().await;
            assert_eq!(ended.code, Some(0), "{}", nodes[leader].log_tail());
        }
    }
}

async fn heal(cluster: &mut Cluster) {
    for node in &mut cluster.nodes {
        if node.is_paused() {
            node.resume();
        } else if !node.is_up() {
            node.start();
        }
    }
    cluster.wait_until_ready().await;
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[actix::test]
async fn any_two_of_five_may_vanish() {
    let time = Duration::from_secs(from_environment("CHAOS_SECONDS", SECONDS_DEFAULT));
    let people = from_environment("CHAOS_CLIENTS", CLIENTS_DEFAULT);
    let mut cluster = Cluster::start_with(5, NO_LIMIT).await;
    let chatters = begin_to_chat(&mut cluster, people, Duration::from_millis(20)).await;
    wait_for_progress(&cluster, &chatters).await;

    let begun = Instant::now();
    let mut struck: BTreeMap<Fault, u32> = BTreeMap::new();
    for fault in FAULTS.iter().cycle() {
        if begun.elapsed() >= time {
            break;
        }
        strike(&mut cluster, *fault).await;
        *struck.entry(*fault).or_default() += 1;
        wait_for_progress(&cluster, &chatters).await;
        heal(&mut cluster).await;
        wait_for_progress(&cluster, &chatters).await;
    }
    let records = end_and_check(&mut cluster, chatters).await;

    let sum = |of: fn(&Record) -> u32| records.iter().map(of).sum::<u32>();
    let acked: usize = records.iter().map(|record| record.acked.len()).sum();
    eprintln!(
        "chaos: {acked} acknowledged by {people} clients in {:.0} s, lost 0, twice 0; faults {struck:?}; \
         {} unknown, {} refused, {} found done before, {} reconnects, longest gap between two \
         acknowledgements of one client {:.2} s",
        begun.elapsed().as_secs_f32(),
        sum(|record| record.unknown),
        sum(|record| record.refusals),
        sum(|record| record.repeats),
        sum(|record| record.reconnects),
        records.iter().map(|record| record.longest_gap).max().unwrap_or_default().as_secs_f32(),
    );
}
