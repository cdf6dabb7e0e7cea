//! Nodes come and go while people chat.

use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};

use super::chaos::{begin_to_chat, end_and_check, wait_for_progress};
use crate::cluster::http::{Answer, exchange};
use crate::cluster::program::Run;
use crate::cluster::{Cluster, text};

const NO_LIMIT: &str = "[limits]\nmessages_per_second = 0";
/// A learner that is caught up becomes a voter after ten seconds; the rest is for this machine.
const STAYS: Duration = Duration::from_secs(13);

fn assert_done(run: &Run, says: &str) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(says), "{:?} has no {says:?}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 1, "{:?}", run.stdout);
}

fn assert_refused(run: &Run, words: &[&str]) {
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{:?} has no {word:?}", run.stderr);
    }
}

/// From one node to seven and back to one, under a load of clients: nothing lost, nothing twice.
#[actix::test]
async fn from_one_to_seven_and_back() {
    let mut cluster = Cluster::start_with(1, NO_LIMIT).await;
    for _ in 1..7 {
        cluster.prepare_another(&[0], NO_LIMIT);
    }
    let chatters = begin_to_chat(&mut cluster, 4, Duration::from_millis(20)).await;
    for place in 1..7 {
        cluster.nodes[place].start();
    }
    cluster.wait_for_voters(0, 7).await;
    wait_for_progress(&cluster, &chatters).await;
    cluster.wait_until_ready().await;

    // node1 goes, and comes back; whoever leads goes as well.
    assert_done(&cluster.until_done(4, &["transfer-leader", "node1"]).await, "node1 leads");
    for place in [0, 3, 5, 1, 6] {
        let name = cluster.nodes[place].name.clone();
        assert_done(&cluster.until_done(2, &["members", "remove", &name]).await, "is removed");
        assert_eq!(cluster.nodes[place].ended().await.code, Some(0), "{}", cluster.nodes[place].log_tail());
        wait_for_progress(&cluster, &chatters).await;
    }
    cluster.nodes[0].wipe();
    let others: Vec<_> = [2, 4].iter().map(|place| &cluster.nodes[*place]).collect();
    cluster.nodes[0].write_join_settings(&others, &cluster.secret(), NO_LIMIT);
    cluster.nodes[0].start();
    cluster.wait_for_voters(2, 3).await;
    for place in [2, 4] {
        let name = cluster.nodes[place].name.clone();
        assert_done(&cluster.until_done(0, &["members", "remove", &name]).await, "is removed");
        assert_eq!(cluster.nodes[place].ended().await.code, Some(0), "{}", cluster.nodes[place].log_tail());
        wait_for_progress(&cluster, &chatters).await;
    }
    cluster.wait_for_voters(0, 1).await;
    let run = cluster.command(0, &["members", "remove", "node1"]).await;
    assert_refused(&run, &["node1", "last"]);
    end_and_check(&mut cluster, chatters).await;
}

#[actix::test]
async fn a_learner_stays_one_and_serves_reads() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "before").await;
    let place = cluster.prepare_another(&[1, 2], "");
    let (peer, public) = (cluster.nodes[place].peer_url(), cluster.nodes[place].url());
    let add = ["members", "add", "node4", &peer, &public, "--learner"];
    for _ in 0..2 {
        assert_done(&cluster.command(1, &add).await, "written down");
    }
    // On another node as soon as that one has applied it.
    let listed = async || {
        let listed = cluster.command(2, &["members", "list", "--json"]).await;
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        (listed[3]["name"] == "node4").then(|| listed[3].clone())
    };
    assert_eq!(cluster.wait_for("node4 to be listed", listed).await["up"], false);
    cluster.nodes[place].start();
    cluster.wait_until_ready().await;
    actix::clock::sleep(STAYS).await;
    assert_eq!(cluster.role(0, "node4").await.as_deref(), Some("learner"));

    let mut reader = cluster.client(place).await;
    reader.hello_as(&ann).await;
    let history = reader.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"][0]["text"], "before");
    assert_eq!(reader.send(room, "by way of a learner").await, 2);
    let refused = cluster.command(0, &["transfer-leader", "node4"]).await;
    assert_refused(&refused, &["node4", "learner"]);

    for says in ["node4 is a voter", "node4 is a voter already"] {
        assert_done(&cluster.until_done(place, &["members", "promote", "node4"]).await, says);
    }
    cluster.wait_for_voters(0, 4).await;
    cluster.equal_tables().await;
}

#[actix::test]
async fn a_dead_node_is_replaced() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    cluster.nodes[2].kill();
    cluster.nodes[2].wipe();
    assert_eq!(ann.send(room, "two are left").await, 1);
    // Its death must have been noticed: until then it might still be needed.
    let what = "node3 to be seen as down";
    let status = async || {
        let status = cluster.nodes[0].status().await?;
        (status["nodes"][2]["up"] == false).then_some(())
    };
    cluster.wait_for(what, status).await;
    assert_done(&cluster.until_done(1, &["members", "remove", "node3"]).await, "node3 is removed");
    assert_done(&cluster.command(1, &["members", "remove", "node3"]).await, "removed already");
    let place = cluster.prepare_another(&[0, 1], "");
    cluster.nodes[place].start();
    cluster.wait_for_voters(0, 3).await;
    assert_eq!(ann.send(room, "three again").await, 2);
    let metrics = cluster.nodes[0].metrics().await;
    assert!(metrics.contains("peer=\"node4\"") && !metrics.contains("peer=\"node3\""), "{metrics}");
    cluster.equal_tables().await;
}

#[actix::test]
async fn what_must_not_be_is_refused() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let (left, dead) = ((leader + 1) % 3, (leader + 2) % 3);
    let name = |cluster: &Cluster, place: usize| cluster.nodes[place].name.clone();
    let (left_name, dead_name) = (name(&cluster, left), name(&cluster, dead));

    assert_refused(&cluster.command(0, &["members", "remove", "node9"]).await, &["node9"]);
    assert_refused(&cluster.command(0, &["members", "promote", "node9"]).await, &["node9"]);
    assert_refused(&cluster.command(0, &["transfer-leader", "node9"]).await, &["node9"]);
    let usage = cluster.command(0, &["members", "add", "Node9", "http://a:1", "http://a:2"]).await;
    assert_eq!(usage.code, Some(2), "{}", usage.stderr);

    cluster.nodes[dead].kill();
    cluster
        .wait_for("the death to be seen", async || {
            let status = cluster.nodes[leader].status().await?;
            (status["nodes"][dead]["up"] == false).then_some(())
        })
        .await;
    actix::clock::sleep(Duration::from_millis(1_100)).await;
    let run = cluster.command(leader, &["members", "remove", &left_name]).await;
    assert_refused(&run, &[&left_name, &dead_name, "down"]);
    let run = cluster.command(leader, &["transfer-leader", &dead_name]).await;
    assert_refused(&run, &[&dead_name, "down"]);

    cluster.nodes[left].pause();
    let run = cluster.command(leader, &["members", "remove", &dead_name]).await;
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.took < Duration::from_secs(10), "{:?}: {}", run.took, run.stderr);
    let run = cluster.command(left, &["members", "list"]).await;
    let address = cluster.nodes[left].peer_url();
    assert_refused(&run, &[&left_name, &address, "nothing within 4.0 s"]);
    assert!(run.took < Duration::from_secs(5), "{:?}", run.took);
    cluster.nodes[left].resume();
}

#[actix::test]
async fn leadership_moves_when_it_is_told_to() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let next = (leader + 1) % 3;
    let (was, name) = (cluster.nodes[leader].name.clone(), cluster.nodes[next].name.clone());
    let run = cluster.command((leader + 2) % 3, &["transfer-leader", &name]).await;
    assert_eq!(run.stdout, format!("{name} leads (was {was})\n"), "{}", run.stderr);
    assert_eq!(cluster.leader().await, next);
    assert_done(&cluster.command(leader, &["transfer-leader", &name]).await, &name);
    let mut ann = cluster.register(leader, "ann").await;
    assert!(ann.is_alive().await);
}

#[actix::test]
async fn a_removed_node_says_goodbye_and_disturbs_nobody() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    let name = cluster.nodes[leader].name.clone();
    let other = (leader + 1) % 3;
    assert_done(&cluster.until_done(other, &["members", "remove", &name]).await, "is removed");
    let bye = ann.event(json!({"ev": "bye"})).await;
    assert_eq!(bye["nodes"].as_array().unwrap().len(), 2, "{bye}");
    assert_eq!(ann.closed().await.code, Some(4001));
    let ended = cluster.nodes[leader].ended().await;
    assert_eq!(ended.code, Some(0), "{}", cluster.nodes[leader].log_tail());
    let said = cluster.nodes[leader].output();
    assert!(said.lines().last().unwrap().contains("removed"), "{said}");

    let mut again = cluster.client(other).await;
    again.hello_as(&ann).await;
    assert_eq!(again.send(room, "two are left").await, 1);
    let term = cluster.nodes[other].status().await.unwrap()["term"].clone();
    cluster.nodes[leader].start();
    assert_eq!(cluster.nodes[leader].ended().await.code, Some(1), "{}", cluster.nodes[leader].log_tail());
    assert_eq!(again.send(room, "undisturbed").await, 2);
    assert_eq!(cluster.nodes[other].status().await.unwrap()["term"], term);

    cluster.nodes[leader].wipe();
    cluster.nodes[leader].start();
    cluster.wait_for_voters(other, 3).await;
    cluster.equal_tables().await;
}

/// It does not know, and learns it before it serves anybody.
#[actix::test]
async fn a_node_that_was_removed_while_it_was_down() {
    let mut cluster = Cluster::start(3).await;
    cluster.leader().await;
    cluster.nodes[2].terminate().await;
    assert_done(&cluster.until_done(0, &["members", "remove", "node3"]).await, "node3 is removed");
    cluster.are_turned_away(&[2]).await;
    assert!(cluster.nodes[2].log_tail().contains("removed"));
}

/// What an operator's command asks, without the command.
async fn post(cluster: &Cluster, place: usize, path: &str, asked: Value) -> Answer {
    let secret = format!("Bearer {}", cluster.secret());
    let url = format!("{}{path}", cluster.nodes[place].peer_url());
    exchange(Method::POST, &url, &[("Authorization", secret.as_str())], asked.to_string()).await.unwrap()
}

/// Whoever adds and then lists, through one node.
#[actix::test]
async fn a_change_is_seen_where_it_was_asked_for() {
    let mut cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    for number in 0..20 {
        let name = format!("later{number}");
        let (peer, public) = (format!("http://{name}:1"), format!("http://{name}:2"));
        let add = json!({"add": {"name": name, "peer": peer, "public": public, "learner": false}});
        let answer = post(&cluster, follower, "/peer/members", json!({"wish": add})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let status = cluster.nodes[follower].status().await.unwrap();
        let names: Vec<_> = status["nodes"].as_array().unwrap().iter().map(|node| &node["name"]).collect();
        assert!(names.contains(&&json!(name)), "{names:?} has no {name}");
    }
}

#[actix::test]
async fn what_no_node_is_called_comes_no_further_than_the_door() {
    let cluster = Cluster::start(1).await;
    let add = |name: &str, peer: &str, public: &str| json!({"wish": {"add": {"name": name, "peer": peer, "public": public, "learner": false}}});
    let join = json!({"wish": {"join":
        {"name": "node 4", "peer": "http://a:1", "public": "http://a:2", "disk": "c0ffee", "gone": null, "level": 1}}});
    for (path, asked, word) in [
        ("/peer/members", add("", "", ""), "name"),
        ("/peer/members", add("node4", "a:1", "http://a:2"), "peer"),
        ("/peer/members", add("node4", "http://a:1", "http://0.0.0.0:2"), "public"),
        ("/peer/members", join, "name"),
        ("/peer/admin", json!({"name": "A B"}), "name"),
    ] {
        let answer = post(&cluster, 0, path, asked).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.json()["error"]["message"].as_str().unwrap().starts_with(word), "{}", answer.text());
    }
    let status = cluster.nodes[0].status().await.unwrap();
    assert_eq!(status["nodes"].as_array().unwrap().len(), 1, "{status}");
}

/// A leader that stands still has heard of the change or has not: the next one is asked, and when there is none nobody
/// says that nothing was changed.
#[actix::test]
async fn changes_while_leaders_stand_still() {
    // Slow to give a leader up, so that the change is handed to it before.
    let mut cluster = Cluster::start_with(3, "[raft]\nelection_ticks = 30").await;
    let leader = cluster.leader().await;
    let asked = (leader + 1) % 3;
    cluster.nodes[leader].pause();
    let add = ["members", "add", "node4", "http://node4:1", "http://node4:2"];
    assert_done(&cluster.until_done(asked, &add).await, "node4 is written down");
    cluster.nodes[leader].resume();
    cluster.wait_until_ready().await;

    let leader = cluster.leader().await;
    let (asked, third) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.nodes[leader].pause();
    cluster.nodes[third].pause();
    // At once, without a process that is to be started: while the leader is not given up yet.
    let (peer, public) = ("http://node5:1", "http://node5:2");
    let wish = json!({"add": {"name": "node5", "peer": peer, "public": public, "learner": false}});
    let answer = post(&cluster, asked, "/peer/members", json!({"wish": wish})).await;
    let said = text(&answer.json()["error"], "message");
    assert!(said.contains("not known"), "{said}");
    cluster.nodes[leader].resume();
    cluster.nodes[third].resume();
    cluster.wait_until_ready().await;
    cluster.until_done(asked, &["members", "add", "node5", peer, public]).await;
    cluster.equal_tables().await;
}

/// `1` means that the leader stays, also when the node that was to take over wakes up.
#[actix::test]
async fn who_slept_does_not_take_over_later() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let sleeper = (leader + 1) % 3;
    let name = cluster.nodes[sleeper].name.clone();
    cluster.nodes[sleeper].pause();
    let run = cluster.command(leader, &["transfer-leader", &name]).await;
    assert_refused(&run, &[&name]);
    cluster.nodes[sleeper].resume();
    let mut ann = cluster.register(sleeper, "ann").await;
    assert_eq!(ann.create_room("general", "public").await, 1);
    cluster.wait_until_ready().await;
    assert_ne!(cluster.leader().await, sleeper);
}
