//! Wall clocks that are wrong: they change no order, end no session and no leadership.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::cluster::clock::Clock;
use crate::cluster::replies::each;
use crate::cluster::{Client, Cluster, number};

const YEAR: i64 = 365 * 86_400;

/// Three nodes with a clock each, all of them right; not started yet.
fn prepare() -> Option<(Cluster, Vec<Clock>)> {
    let mut cluster = Cluster::prepare(3, "[limits]\nmessages_per_second = 0");
    let clocks = Clock::give(cluster.folder.path(), &mut cluster.nodes)?;
    Some((cluster, clocks))
}

async fn start(cluster: &mut Cluster) {
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_ready().await;
}

/// How many seconds a node's clock is off.
async fn seconds_off(client: &mut Client) -> i64 {
    let told = i64::try_from(number(&client.ok("ping", json!({})).await, "time") / 1_000).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    told - i64::try_from(now).unwrap()
}

/// Somebody writes at each node in turn; the times of the messages must not run backwards.
struct Talk {
    clients: Vec<Client>,
    room: u64,
    last_time: u64,
}

impl Talk {
    async fn begin(cluster: &Cluster) -> Self {
        let mut ann = cluster.register(0, "ann").await;
        let room = ann.create_room("general", "public").await;
        let mut clients = vec![ann];
        for place in 1..cluster.nodes.len() {
            let mut client = cluster.client(place).await;
            client.hello_as(&clients[0]).await;
            clients.push(client);
        }
        Self { clients, room, last_time: 0 }
    }

    async fn go_on(&mut self) {
        for client in self.clients.iter_mut().filter(|client| !client.is_closed()) {
            let sent = client.ok("send", json!({"room": self.room, "text": "tick"})).await;
            let time = number(&sent, "time");
            assert!(time >= self.last_time, "{time} after {}", self.last_time);
            self.last_time = time;
        }
    }

    async fn check(mut self) {
        let page = self.clients[0].ok("history", json!({"room": self.room, "limit": 200})).await;
        let times: Vec<u64> =
            each(&page["messages"], "time").iter().filter_map(|time| time.as_u64()).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}

/// Years apart from the start, one standing still; then the leaders change.
#[actix::test]
async fn clocks_that_are_years_apart() {
    let Some((mut cluster, clocks)) = prepare() else { return };
    clocks[0].shift(10 * YEAR);
    clocks[1].shift(-20 * YEAR);
    clocks[2].stop(YEAR);
    start(&mut cluster).await;
    let mut talk = Talk::begin(&cluster).await;
    for (client, years) in talk.clients.iter_mut().zip([10, -20, 1]) {
        let off = seconds_off(client).await;
        assert!((off - years * YEAR).abs() < 3_600, "the clock is not as wrong as it should be: {off} s");
    }
    talk.go_on().await;
    // Each leads once, whatever its clock says.
    for _ in 0..3 {
        let leader = cluster.leader().await;
        cluster.nodes[leader].kill();
        let mut others = (0..3).filter(|place| *place != leader);
        talk.clients[others.next().unwrap()].ok("send", json!({"room": talk.room, "text": "on"})).await;
        cluster.nodes[leader].start();
        cluster.wait_until_ready().await;
        // The token is as good as before.
        let mut again = cluster.client(leader).await;
        let token = talk.clients[0].token.clone();
        again.hello(&token, json!({})).await;
        talk.clients[leader] = again;
        talk.go_on().await;
    }
    talk.check().await;
    cluster.equal_tables().await;
}

/// All clocks jump and stop while people write: nobody is sent away, and the leader stays.
#[actix::test]
async fn clocks_that_jump_and_stop() {
    let Some((mut cluster, clocks)) = prepare() else { return };
    start(&mut cluster).await;
    let mut talk = Talk::begin(&cluster).await;
    talk.go_on().await;
    let before = cluster.nodes[0].status().await.unwrap();
    for round in 0..24_usize {
        let clock = &clocks[round % 3];
        match round % 4 {
            0 => clock.shift(30 * YEAR),
            1 => clock.stop(-YEAR),
            2 => clock.shift(-40 * YEAR),
            _ => clock.shift(-1),
        }
        talk.go_on().await;
        // Long enough for whoever would believe the clock to act on it.
        actix::clock::sleep(Duration::from_millis(100)).await;
    }
    let after = cluster.nodes[0].status().await.unwrap();
    assert_eq!((&after["leader"], &after["term"]), (&before["leader"], &before["term"]));
    assert!(talk.clients.iter().all(|client| !client.is_closed()), "a session ended");
    for place in 0..3 {
        let mut again = cluster.client(place).await;
        again.hello_as(&talk.clients[0]).await;
    }
    talk.check().await;
    cluster.equal_tables().await;
}
