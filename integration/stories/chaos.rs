//! Everything that happens to machines happens to up to two of five at a time ([`faults`]), while people write and listen,
//! and while others keep a record of what they see, which is judged in the end.
//!
//! `CHAOS_SECONDS=60 CHAOS_CLIENTS=16 CHAOS_PAUSE_MS=20` makes it long, `CHAOS_SEED=7` draws the same faults again; a
//! summary is printed in any case.

mod faults;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::chatter::{Chatter, Plan, Record};
use crate::cluster::node::Node;
use crate::cluster::replies::each;
use crate::cluster::{Client, Cluster, number};
use crate::judge::Witnesses;

use faults::Chaos;

const SECONDS_DEFAULT: u64 = 12;
const CLIENTS_DEFAULT: u64 = 6;
/// Between a write's acknowledgement and the same client's next write.
const PAUSE_MS_DEFAULT: u64 = 20;
const ROOMS: usize = 2;
const WITNESSES: usize = 5;
/// After a fault of a minority, writes go on well within this.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

/// Little of the log is kept, so that who was away, and who comes anew, is sent state.
const SETTINGS: &str = "[raft]\nlog_keep_entries = 200\n[limits]\nmessages_per_second = 0";

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
    let place = cluster.nodes.iter_mut().position(Node::is_up).expect("a node is up");

    let mut rooms: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for chatter in &chatters {
        let room = chatter.plan.room;
        if let Entry::Vacant(vacant) = rooms.entry(room) {
            let mut client = cluster.client(place).await;
            client.hello(&chatter.plan.token, json!({})).await;
            vacant.insert(whole_history(&mut client, room).await);
        }
        let all = rooms[&room].len();
        let what = format!("{} to hear all {all} messages", chatter.plan.name);
        cluster.wait_for(&what, async || (chatter.record().heard.len() >= all).then_some(())).await;
    }
    for (room, ids) in &rooms {
        let cell = format!("room=Integer({room})");
        let rows = tables["messages"].iter().filter(|row| row.split(' ').any(|of| of == cell));
        assert_eq!(ids.len(), rows.count(), "the table and the history of room {room}");
    }

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
pub async fn whole_history(client: &mut Client, room: u64) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut last_time = 0;
    loop {
        let page = client.ok("history", json!({"room": room, "after": ids.len(), "limit": 200})).await;
        for time in each(&page["messages"], "time") {
            assert!(time.as_u64() >= Some(last_time), "time runs backwards in room {room}");
            last_time = time.as_u64().unwrap();
        }
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

pub fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[actix::test]
async fn any_two_of_five_may_vanish() {
    let time = Duration::from_secs(from_environment("CHAOS_SECONDS", SECONDS_DEFAULT));
    let people = from_environment("CHAOS_CLIENTS", CLIENTS_DEFAULT);
    let pause = Duration::from_millis(from_environment("CHAOS_PAUSE_MS", PAUSE_MS_DEFAULT));
    let seed = from_environment("CHAOS_SEED", rand::random_range(0..1_000_000));
    eprintln!("chaos: the faults of CHAOS_SEED={seed}");
    let mut chaos = Chaos::prepare(seed, SETTINGS);
    // The first heal starts them all.
    chaos.heal().await;
    let chatters = begin_to_chat(&mut chaos.cluster, people, pause).await;
    wait_for_progress(&chaos.cluster, &chatters).await;
    let witnesses = Witnesses::begin(&chaos.cluster, WITNESSES).await;

    let begun = Instant::now();
    while begun.elapsed() < time {
        chaos.strike().await;
        wait_for_progress(&chaos.cluster, &chatters).await;
        chaos.heal().await;
        wait_for_progress(&chaos.cluster, &chatters).await;
    }
    let took = begun.elapsed();
    let judged = witnesses.judge(&chaos.cluster, 0).await;
    let records = end_and_check(&mut chaos.cluster, chatters).await;

    let sum = |of: fn(&Record) -> u32| records.iter().map(of).sum::<u32>();
    let acked: usize = records.iter().map(|record| record.acked.len()).sum();
    eprintln!(
        "chaos: {acked} acknowledged by {people} clients in {:.0} s, lost 0, twice 0; {} unknown, {} refused, \
         {} found done before, {} reconnects, longest gap between two acknowledgements of one client {:.2} s\n\
         chaos: {} faults {:?}\n\
         chaos: judged linearizable: {judged:?} of {WITNESSES} clients",
        took.as_secs_f32(),
        sum(|record| record.unknown),
        sum(|record| record.refusals),
        sum(|record| record.repeats),
        sum(|record| record.reconnects),
        records.iter().map(|record| record.longest_gap).max().unwrap_or_default().as_secs_f32(),
        chaos.struck.values().sum::<u32>(),
        chaos.struck,
    );
}
