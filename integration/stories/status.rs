//! `status`: the cluster as one node sees it.

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::program::run;

#[actix::test]
async fn status_of_a_cluster() {
    let cluster = Cluster::start(3).await;
    let folder = cluster.folder.path();
    // As of one moment: nothing changed while it was asked for.
    let status = async || {
        let asked = cluster.nodes[1].status().await?;
        let is_seen =
            |node: &Value| node["up"] == true && (node["ms"].is_number() || node["name"] == "node2");
        if !asked["leader"].is_string() || !asked["nodes"].as_array()?.iter().all(is_seen) {
            return None;
        }
        let json = run(folder, &["status", "node2.toml", "--json"], &[]).await;
        assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
        let told: Value = serde_json::from_str(&json.stdout).unwrap();
        let people = run(folder, &["status", "node2.toml"], &[]).await;
        assert_eq!((people.code, people.stderr.as_str()), (Some(0), ""));
        let after = cluster.nodes[1].status().await?;
        let names = ["cluster", "node", "leader", "term", "quorum", "epoch"];
        let is_same = names.iter().all(|name| told[name] == asked[name] && told[name] == after[name]);
        is_same.then_some((told, people))
    };
    let (told, people) = cluster.wait_for("the same to be told in each way", status).await;
    assert_eq!(told["nodes"].as_array().unwrap().len(), 3);

    let lines: Vec<&str> = people.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", people.stdout);
    let (cluster_id, epoch) = (told["cluster"].as_str().unwrap(), told["epoch"].as_str().unwrap());
    for word in [cluster_id, epoch, "node2", "majority", told["leader"].as_str().unwrap()] {
        assert!(lines[0].contains(word), "{word} in {}", lines[0]);
    }
    for (line, node) in lines[1..].iter().zip(&cluster.nodes) {
        let url = node.url();
        for word in [node.name.as_str(), "up", "lag", "ms", &url] {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
}

/// What a node has acknowledged it has applied, whoever is asked how far it is.
#[actix::test]
async fn a_node_is_as_far_as_it_has_told() {
    let cluster = Cluster::start(2).await;
    let mut people = [cluster.register(0, "ann").await, cluster.register(1, "bob").await];
    let room = people[0].create_room("general", "public").await;
    people[1].ok("join", json!({"room": room})).await;
    for _ in 0..30 {
        for (node, person) in cluster.nodes.iter().zip(&mut people) {
            let sent = person.ok("send", json!({"room": room, "text": "x"})).await;
            let told = node.status().await.unwrap();
            assert!(told["at"].as_u64() >= sent["at"].as_u64(), "{} after {sent}: {told}", node.name);
        }
    }
}

#[actix::test]
async fn status_of_a_node_that_does_not_answer() {
    let mut cluster = Cluster::start(1).await;
    let address = format!("127.0.0.1:{}", cluster.nodes[0].peer_port);
    cluster.nodes[0].pause();
    let paused = run(cluster.folder.path(), &["status", "node1.toml"], &[]).await;
    cluster.nodes[0].kill();
    let killed = run(cluster.folder.path(), &["status", "node1.toml"], &[]).await;
    assert!(paused.stderr.contains("nothing within 4.0 s"), "{}", paused.stderr);
    for run in [paused, killed] {
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains("node1") && run.stderr.contains(&address), "{}", run.stderr);
        assert!(run.took < Duration::from_millis(5500), "{:?}", run.took);
    }
}

/// It answers, so these are its answers: what it waits for.
#[actix::test]
async fn a_node_without_a_chat_says_what_it_waits_for() {
    let mut cluster = Cluster::prepare(2, "");
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    cluster.wait_for("a word", async || node.log().contains("waiting for node2").then_some(())).await;
    let folder = cluster.folder.path();
    for command in [&["status", "node1.toml"][..], &["members", "node1.toml", "list"]] {
        let run = run(folder, command, &[]).await;
        assert_eq!((run.code, run.stdout.lines().count(), run.stderr.as_str()), (Some(0), 1, ""));
        assert!(run.stdout.contains("waiting for node2"), "{}", run.stdout);
    }
    let json = run(folder, &["status", "node1.toml", "--json"], &[]).await;
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&told["node"], &told["quorum"], &told["cluster"]),
        (&"node1".into(), &false.into(), &Value::Null)
    );
    for command in
        [&["transfer-leader", "node1.toml", "node2"][..], &["members", "node1.toml", "remove", "node2"]]
    {
        let run = run(folder, command, &[]).await;
        assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1));
        assert!(run.stderr.contains("waiting for node2"), "{}", run.stderr);
    }
}

/// Something else listens where the node should, and is content with everything.
fn answer_for_all(port: u16, cluster: Value) -> actix_web::dev::ServerHandle {
    let app = move || {
        let cluster = cluster.clone();
        App::new()
            .route(
                "/api/v1/cluster",
                web::get().to(move || std::future::ready(HttpResponse::Ok().json(&cluster))),
            )
            .default_service(web::to(|| std::future::ready(HttpResponse::Ok().json(json!({})))))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", port)).unwrap().run();
    let handle = server.handle();
    actix::spawn(server);
    handle
}

#[actix::test]
async fn nobody_else_is_taken_for_the_node() {
    let cluster = Cluster::prepare(1, "");
    let (folder, port) = (cluster.folder.path(), cluster.nodes[0].peer_port);
    let looks = [
        &["status", "node1.toml"][..],
        &["status", "node1.toml", "--json"],
        &["members", "node1.toml", "list"],
    ];
    let changes = [
        &["members", "node1.toml", "remove", "node9"][..],
        &["transfer-leader", "node1.toml", "node9"],
        &["admin", "node1.toml", "ann"],
    ];
    let node1 = json!({"node": "node1", "nodes": []});
    for (told, word, commands) in [
        (json!({}), "is no node", [&looks[..], &changes].concat()),
        (json!({"node": "node2", "nodes": []}), "node2 answers", [&looks[..], &changes].concat()),
        (node1, "is no node", changes.to_vec()),
    ] {
        let server = answer_for_all(port, told.clone());
        for command in commands {
            let run = run(folder, command, &[]).await;
            assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{told} {command:?}: {}", run.stderr);
            assert!(run.stderr.contains(word) && run.stderr.contains("peer.url"), "{}", run.stderr);
        }
        server.stop(false).await;
    }
}
