//! Members change and state travels while the network is cut, half cut, or comes and goes.
//!
//! Each node is in a network namespace of its own; where there are none, these stories say that they are left out.

use std::fs;
use std::time::Duration;

use crate::cluster::{Cluster, Network};

use super::catching_up::{INSTALLED, settings, transfers, write};
use super::chaos::{begin_to_chat, end_and_check, wait_for_progress};

/// Some eight pages of state.
const MESSAGES: usize = 1_000;
const TEXT_BYTES: usize = 8_000;
/// With so many pages here, more are on their way.
const PAGES: usize = 2;
const CUTS: u64 = 6;

/// The nodes that the cuts are between.
#[derive(Clone, Copy)]
struct Places {
    joiner: usize,
    leader: usize,
    voter: usize,
}

/// Cuts the ways between these in one way after the other, each for as long as an election takes, more or less, and
/// heals all in between.
async fn unrest(network: &mut Network, places: Places) {
    let Places { joiner, leader, voter } = places;
    for round in 0..CUTS {
        match round % 6 {
            0 => network.cut_both(joiner, leader),
            1 => network.isolate(voter),
            2 => network.cut(leader, joiner),
            3 => network.cut(joiner, leader),
            4 => network.silence(voter),
            _ => {
                network.cut_both(voter, leader);
                network.deafen(joiner);
            }
        }
        actix::clock::sleep(Duration::from_millis(100 + round * 80)).await;
        network.heal();
        actix::clock::sleep(Duration::from_millis(20 + round % 3 * 60)).await;
    }
}

/// Until some of the state has come that this node lacks. Says whether more of it is to come.
async fn pages_are_there(cluster: &Cluster, place: usize, installs: usize) -> bool {
    let node = &cluster.nodes[place];
    let incoming = node.data_dir().join("incoming");
    cluster
        .wait_for("pages of state", async || {
            let pages = fs::read_dir(&incoming).map_or(0, Iterator::count);
            let is_over = transfers(&node.log()) > installs;
            (is_over || pages >= PAGES).then_some(!is_over)
        })
        .await
}

async fn state_is_installed(cluster: &Cluster, place: usize, installs: usize) {
    let node = &cluster.nodes[place];
    cluster.wait_for(INSTALLED, async || (transfers(&node.log()) > installs).then_some(())).await;
}

#[actix::test]
async fn members_come_and_go_on_a_network_that_is_cut() {
    let Some((mut network, mut cluster)) = Network::start(3, &settings()).await else { return };
    let leader = cluster.leader().await;
    let (voter, by) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("pages", "public").await;
    write(&mut ann, room, MESSAGES, TEXT_BYTES).await;
    let chatters = begin_to_chat(&mut cluster, 3, Duration::from_millis(10)).await;

    // It is let in by a leader that it does not reach, and state comes to it through the cuts.
    let joiner = network.prepare_another(&mut cluster, &[leader, voter, by], &settings());
    let places = Places { joiner, leader, voter };
    network.cut_both(joiner, leader);
    cluster.nodes[joiner].start();
    let is_learner = async || cluster.role(by, "node4").await.filter(|role| role == "learner");
    cluster.wait_for("node4 to be let in", is_learner).await;
    network.heal();
    let cut_while_it_came = pages_are_there(&cluster, joiner, 0).await;
    tokio::join!(unrest(&mut network, places), state_is_installed(&cluster, joiner, 0));
    wait_for_progress(&cluster, &chatters).await;

    // It becomes a voter.
    let promote = ["members", "promote", "node4"];
    let ((), run) = tokio::join!(unrest(&mut network, places), cluster.command(by, &promote));
    run.assert_answered();
    cluster.until_done(by, &promote).await;
    wait_for_progress(&cluster, &chatters).await;

    // It loses its disk and is sent all again, while whoever leads by now, or another, is removed.
    let leads = cluster.leader().await;
    let goes = if leads == joiner { leader } else { leads };
    let by = (0..3).find(|place| ![goes, voter].contains(place)).unwrap_or(by);
    let places = Places { leader: goes, ..places };
    let installs = transfers(&cluster.nodes[joiner].log());
    cluster.nodes[joiner].comes_back_empty();
    let name = cluster.nodes[goes].name.clone();
    let remove = ["members", "remove", &name];
    let ((), run) = tokio::join!(unrest(&mut network, places), cluster.command(by, &remove));
    run.assert_answered();
    cluster.until_done(by, &remove).await;
    assert_eq!(cluster.nodes[goes].ended().await.code, Some(0), "{}", cluster.nodes[goes].log_tail());
    state_is_installed(&cluster, joiner, installs).await;
    cluster.until_done(by, &promote).await;
    cluster.wait_for_voters(by, 3).await;
    wait_for_progress(&cluster, &chatters).await;
    eprintln!(
        "changing: cut while pages were on their way: {cut_while_it_came}; state was installed {} times",
        transfers(&cluster.nodes[joiner].log())
    );
    end_and_check(&mut cluster, chatters).await;
}
