//! Who may come in and who says so: `admin`, invitations, closed registration, reset links, accounts shut out.

use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::clock::Clock;
use crate::cluster::http::op;
use crate::cluster::program::{self, Run};
use crate::cluster::replies::{done, each, refused};
use crate::cluster::{Client, Cluster, assert_like, number, text};

const CLOSED: &str = "[accounts]\nregistration = \"closed\"";
const HOUR: i64 = 3_600;

/// The token of a link, which must be a page of this node.
#[track_caller]
fn token_of(link: &str, what: &str, node: &str) -> String {
    let token = link.strip_prefix(&format!("{node}/#{what}=")).unwrap_or_else(|| panic!("{link}"));
    assert_eq!(token.len(), 64, "{link}");
    token.to_owned()
}

/// Runs `admin`, which must find no such account, and gives the token of its link.
async fn create_link(cluster: &Cluster, place: usize, name: &str) -> String {
    let run = cluster.command(place, &["admin", name]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains(name), "{}", run.stdout);
    token_of(lines[1], "create", &cluster.nodes[place].url())
}

#[track_caller]
fn assert_failed(run: &Run, code: i32, words: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{:?} has no {word:?}", run.stderr);
    }
}

fn account(name: &str, invite: &str) -> Value {
    json!({"name": name, "password": password_of(name), "invite": invite})
}

/// An account by this link, on a new connection to the node at `place`.
async fn register(cluster: &Cluster, place: usize, name: &str, link: &str) -> Value {
    let mut client = cluster.client(place).await;
    client.ask("register", account(name, link)).await
}

/// An admin of a chat in which nobody can register, connected to the node at `place`.
async fn closed_with_admin(count: usize, place: usize) -> (Cluster, Client) {
    let cluster = Cluster::start_with(count, CLOSED).await;
    let link = create_link(&cluster, place, "ann").await;
    let reply = register(&cluster, place, "ann", &link).await;
    done("register", &reply);
    assert_eq!(reply["user"]["role"], "admin");
    let mut ann = cluster.client(place).await;
    ann.hello(&text(&reply, "token"), json!({})).await;
    (cluster, ann)
}

#[actix::test]
async fn operators_make_admins_through_any_node() {
    let mut cluster = Cluster::start(3).await;
    let _first = cluster.register(0, "zoe").await;
    let mut bob = cluster.register(1, "bob").await;
    assert_eq!(bob.welcome["user"]["role"], "member");
    for place in [2, 0] {
        let run = cluster.command(place, &["admin", "Bob"]).await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "bob is an admin now\n"), "{}", run.stderr);
    }
    bob.event(json!({"ev": "user", "name": "bob", "role": "admin"})).await;

    // Of two links for one name the first that is used creates the account.
    let links = [create_link(&cluster, 0, "cleo").await, create_link(&cluster, 1, "cleo").await];
    refused("another name", &register(&cluster, 2, "eve", &links[0]).await, "forbidden");
    refused("an invented link", &register(&cluster, 2, "cleo", &"0".repeat(64)).await, "forbidden");
    let id = new_id();
    let mut cleo = cluster.client(2).await;
    let reply = cleo.ask_as(&id, "register", account("cleo", &links[1])).await;
    done("register", &reply);
    assert_eq!(reply["user"]["role"], "admin");
    let again = cluster.client(0).await.ask_as(&id, "register", account("cleo", &links[1])).await;
    done("register again", &again);
    assert_eq!((&again["duplicate"], &again["at"]), (&json!(true), &reply["at"]));
    refused("the other link", &register(&cluster, 0, "cleo", &links[0]).await, "conflict");
    refused("used", &register(&cluster, 0, "eve", &links[1]).await, "forbidden");
    let run = cluster.command(1, &["admin", "cleo"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "cleo is an admin now\n"));

    // A name is never given again.
    done("delete", &bob.ask("delete_account", json!({"password": password_of("bob")})).await);
    let gone = cluster.command(0, &["admin", "bob"]).await;
    assert_failed(&gone, 1, &["bob", "deleted", "never given again"]);

    let settings = cluster.nodes[0].settings_file();
    let settings = settings.to_str().unwrap();
    assert_failed(&cluster.command(0, &["admin", "no one"]).await, 2, &["NAME", "no one"]);
    assert_failed(&program::run(cluster.folder.path(), &["admin", settings], &[]).await, 2, &["NAME"]);
    assert_failed(
        &program::run(cluster.folder.path(), &["admin", "no.toml", "ann"], &[]).await,
        2,
        &["no.toml"],
    );

    for place in [1, 2] {
        cluster.nodes[place].kill();
    }
    cluster
        .wait_for("the node to miss its majority", async || {
            (cluster.nodes[0].status().await?["quorum"] == false).then_some(())
        })
        .await;
    assert_failed(&cluster.command(0, &["admin", "dan"]).await, 1, &["no majority"]);
    let dead = cluster.command(1, &["admin", "dan"]).await;
    assert_failed(&dead, 1, &["node2", &cluster.nodes[1].peer_url()]);
    assert!(dead.took.as_secs() < 5, "{:?}", dead.took);
}

#[actix::test]
async fn a_closed_chat_lets_in_who_was_invited() {
    let (cluster, mut ann) = closed_with_admin(3, 1).await;
    assert_eq!(ann.ok("server", json!({})).await["registration"], "closed");
    let mut client = cluster.client(0).await;
    client.refused("register", json!({"name": "bob", "password": "12345678"}), "forbidden").await;

    let made = ann.ok("create_invite", json!({"uses": 2, "hours": 1})).await;
    let link = token_of(&text(&made, "link"), "invite", &ann.url);
    let bob = register(&cluster, 0, "bob", &link).await;
    done("bob", &bob);
    assert_eq!(bob["user"]["role"], "member");
    refused("the name is taken", &register(&cluster, 0, "ann", &link).await, "conflict");
    done("cleo", &register(&cluster, 2, "cleo", &link).await);
    refused("used up", &register(&cluster, 2, "dan", &link).await, "forbidden");

    let once = ann.ok("create_invite", json!({})).await;
    let revoked = ann.ok("create_invite", json!({})).await;
    ann.ok("revoke_invite", json!({"invite": revoked["invite"]})).await;
    let dead = token_of(&text(&revoked, "link"), "invite", &ann.url);
    refused("revoked", &register(&cluster, 2, "dan", &dead).await, "forbidden");
    let list = ann.ok("list_invites", json!({})).await;
    // What changed last comes first.
    assert_eq!(each(&list["invites"], "invite"), [&revoked["invite"], &once["invite"], &made["invite"]]);
    for (place, used, is_revoked) in [(0, 0, true), (1, 0, false), (2, 2, false)] {
        assert_like(&list["invites"][place], &json!({"by": "ann", "used": used, "revoked": is_revoked}));
    }
    assert_eq!(list["invites"][2]["until"], made["until"]);

    // Only an admin may, and the mode that one sets holds on every node, whatever its settings say.
    let mut bob = cluster.client(0).await;
    bob.login("bob").await;
    for (op, fields) in [
        ("create_invite", json!({})),
        ("list_invites", json!({})),
        ("revoke_invite", json!({"invite": once["invite"]})),
        ("set_registration", json!({"mode": "open"})),
        ("reset_password", json!({"user": "ann"})),
        ("set_role", json!({"user": "bob", "role": "admin"})),
        ("set_disabled", json!({"user": "ann", "disabled": true})),
        ("list_rooms", json!({"all": true})),
    ] {
        bob.refused(op, fields, "forbidden").await;
    }
    ann.ok("set_registration", json!({"mode": "open"})).await;
    let mut dan = cluster.client(2).await;
    dan.register("dan").await;
    // On another node as soon as that one has applied it.
    let is_open = async || (bob.ok("server", json!({})).await["registration"] == "open").then_some(());
    cluster.wait_for("the chat to be open there", is_open).await;
    ann.ok("set_registration", json!({"mode": "closed"})).await;
    let mut client = cluster.client(2).await;
    client.refused("register", json!({"name": "eve", "password": "12345678"}), "forbidden").await;
}

/// Two people with one link, at the same moment on two nodes: one of them is in.
#[actix::test]
async fn a_link_that_is_raced_for_is_used_once() {
    let (cluster, mut ann) = closed_with_admin(3, 0).await;
    for round in 0..3 {
        let made = ann.ok("create_invite", json!({})).await;
        let link = token_of(&text(&made, "link"), "invite", &ann.url);
        let (mut one, mut two) = (cluster.client(1).await, cluster.client(2).await);
        let (first, second) = (new_id(), new_id());
        one.post(&first, "register", account(&format!("one{round}"), &link)).await;
        two.post(&second, "register", account(&format!("two{round}"), &link)).await;
        let replies = [one.reply(&first).await, two.reply(&second).await];
        let in_now = replies.iter().filter(|reply| reply["ok"] == true).count();
        assert_eq!(in_now, 1, "{replies:?}");
        let out = replies.iter().find(|reply| reply["ok"] != true).unwrap();
        refused("the other", out, "forbidden");
    }
}

/// A reply that held a secret cannot be given again: a repeat puts another in its place.
#[actix::test]
async fn a_repeated_invitation_is_one_invitation() {
    let (cluster, mut ann) = closed_with_admin(3, 0).await;
    let id = new_id();
    let first = ann.ask_as(&id, "create_invite", json!({"uses": 3})).await;
    done("create_invite", &first);
    let mut elsewhere = cluster.client(2).await;
    elsewhere.hello_as(&ann).await;
    let again = elsewhere.ask_as(&id, "create_invite", json!({"uses": 3})).await;
    done("create_invite again", &again);
    for field in ["at", "until"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    assert_eq!(again["duplicate"], true);
    let old = token_of(&text(&first, "link"), "invite", &ann.url);
    let new = token_of(&text(&again, "link"), "invite", &elsewhere.url);
    refused("replaced", &register(&cluster, 1, "bob", &old).await, "forbidden");
    done("the new one", &register(&cluster, 1, "bob", &new).await);
    refused("another", &ann.ask_as(&id, "create_invite", json!({"uses": 4})).await, "conflict");
    refused(
        "another op",
        &ann.ask_as(&id, "create_room", json!({"name": "x", "kind": "public"})).await,
        "conflict",
    );
}

#[actix::test]
async fn links_end_by_the_leaders_clock() {
    let mut cluster = Cluster::prepare(1, CLOSED);
    let Some(clocks) = Clock::give(cluster.folder.path(), &mut cluster.nodes) else { return };
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    let link = create_link(&cluster, 0, "ann").await;
    let late = create_link(&cluster, 0, "zoe").await;
    clocks[0].shift(24 * HOUR - 60);
    done("in time", &register(&cluster, 0, "ann", &link).await);
    clocks[0].shift(24 * HOUR + 60);
    let error = refused("too late", &register(&cluster, 0, "zoe", &late).await, "forbidden");
    assert!(text(&error, "message").contains("expired"), "{error}");

    let mut ann = cluster.client(0).await;
    ann.login("ann").await;
    let made = ann.ok("create_invite", json!({"hours": 2})).await;
    let invite = token_of(&text(&made, "link"), "invite", &ann.url);
    clocks[0].shift(27 * HOUR);
    refused("too late", &register(&cluster, 0, "bob", &invite).await, "forbidden");
    // A clock that ran ahead spoiled nothing.
    clocks[0].shift(24 * HOUR);
    done("in time again", &register(&cluster, 0, "bob", &invite).await);
}

#[actix::test]
async fn a_reset_link_gives_a_new_password_and_ends_what_was_open() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let mut bob_too = cluster.client(2).await;
    bob_too.login("bob").await;
    ann.refused("reset_password", json!({"user": "nobody"}), "not_found").await;
    let other = ann.ok("reset_password", json!({"user": "bob"})).await;
    let made = ann.ok("reset_password", json!({"user": "bob"})).await;
    assert!(number(&made, "until") > 0 && made.get("invite").is_none());
    let link = token_of(&text(&made, "link"), "reset", &ann.url);
    assert!(bob.is_alive().await, "a link that nobody used changes nothing");

    // The first thing on a connection, and no login.
    let mut client = cluster.client(1).await;
    client.refused("set_password", json!({"link": link, "password": "short"}), "bad_request").await;
    client.refused("set_password", json!({"link": "x", "password": "a new password"}), "forbidden").await;
    refused("no invitation", &register(&cluster, 1, "eve", &link).await, "forbidden");
    let id = new_id();
    let fields = json!({"link": link, "password": "a new password"});
    let reply = client.ask_as(&id, "set_password", fields.clone()).await;
    done("set_password", &reply);
    assert_like(&reply["user"], &json!({"name": "bob", "role": "member"}));
    client.refused("list_rooms", json!({}), "unauthorized").await;
    assert_eq!(bob.closed().await.code, Some(4503));
    assert_eq!(bob_too.closed().await.code, Some(4503));

    let again = cluster.client(2).await.ask_as(&id, "set_password", fields.clone()).await;
    assert_eq!((&again["duplicate"], &again["at"]), (&json!(true), &reply["at"]), "{again}");
    client.refused("set_password", fields, "forbidden").await;
    let other = token_of(&text(&other, "link"), "reset", &ann.url);
    client.refused("set_password", json!({"link": other, "password": "a newer password"}), "forbidden").await;
    client.refused("login", json!({"name": "bob", "password": password_of("bob")}), "unauthorized").await;
    client.ok("login", json!({"name": "bob", "password": "a new password"})).await;
}

#[actix::test]
async fn who_is_shut_out_is_out_on_every_node() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let mut bob_too = cluster.client(2).await;
    bob_too.login("bob").await;
    bob.send(room, "before").await;

    let reply = ann.ok("set_disabled", json!({"user": "bob", "disabled": true})).await;
    assert_like(&reply["user"], &json!({"name": "bob", "disabled": true}));
    assert_eq!(bob.closed().await.code, Some(4503));
    assert_eq!(bob_too.closed().await.code, Some(4503));
    ann.event(json!({"ev": "user", "name": "bob", "disabled": true})).await;
    let mut client = cluster.client(2).await;
    refused("hello", &client.ask("hello", json!({"token": bob.token})).await, "unauthorized");
    assert_eq!(client.closed().await.code, Some(4503));
    let mut client = cluster.client(2).await;
    let right = json!({"name": "bob", "password": password_of("bob")});
    let error = client.refused("login", right.clone(), "forbidden").await;
    assert!(text(&error, "message").contains("disabled"), "{error}");
    let wrong = client.refused("login", json!({"name": "bob", "password": "12345678"}), "unauthorized").await;
    let nobody =
        client.refused("login", json!({"name": "zoe", "password": "12345678"}), "unauthorized").await;
    assert_eq!(wrong, nobody, "it does not tell whether the name exists");
    // Of the room nothing changed.
    let members = ann.ok("members", json!({"room": room})).await;
    assert_eq!(each(&members["users"], "name"), [&json!("ann"), &json!("bob")]);

    ann.ok("set_disabled", json!({"user": "bob", "disabled": false})).await;
    let told = ann.event(json!({"ev": "user", "name": "bob"})).await;
    assert!(told.get("disabled").is_none(), "{told}");
    client.ok("login", right).await;
    client.refused("hello", json!({"token": bob.token}), "unauthorized").await;
}

#[actix::test]
async fn there_is_always_an_admin() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;
    for (op, fields) in [
        ("set_role", json!({"user": "ann", "role": "member"})),
        ("set_disabled", json!({"user": "ann", "disabled": true})),
    ] {
        let error = ann.refused(op, fields, "conflict").await;
        assert!(text(&error, "message").contains("last admin"), "{error}");
    }
    let reply = ann.ok("set_role", json!({"user": "bob", "role": "admin"})).await;
    assert_like(&reply["user"], &json!({"name": "bob", "role": "admin"}));
    bob.event(json!({"ev": "user", "name": "bob", "role": "admin"})).await;
    bob.ok("set_role", json!({"user": "ann", "role": "member"})).await;
    ann.refused("set_role", json!({"user": "ann", "role": "admin"}), "forbidden").await;
    bob.refused("set_role", json!({"user": "nobody", "role": "admin"}), "not_found").await;
    bob.refused("set_role", json!({"user": "ann", "role": "owner"}), "bad_request").await;
}

#[actix::test]
async fn ones_own_sessions() {
    let cluster = Cluster::start(3).await;
    let url = cluster.nodes[1].url();
    let mut ann = cluster.register(0, "ann").await;
    let mut phone = Client::open_with(&url, &[("User-Agent", "a phone")]).await.unwrap();
    phone.login("ann").await;
    // On another node as soon as that one has applied it.
    let both = async || {
        let list = ann.ok("list_sessions", json!({})).await;
        (list["sessions"].as_array()?.len() > 1).then_some(list)
    };
    let list = cluster.wait_for("both sessions to be listed", both).await;
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &sessions[0]["current"]), (2, &json!(true)), "{list}");
    assert_like(&sessions[1], &json!({"agent": "a phone", "current": false}));
    assert!(number(&sessions[1], "time") > 1_700_000_000_000);

    let mut bob = cluster.register(2, "bob").await;
    let session = sessions[1]["session"].clone();
    bob.refused("end_session", json!({"session": session}), "not_found").await;
    bob.refused("end_session", json!({"session": "x"}), "bad_request").await;
    ann.ok("end_session", json!({"session": session})).await;
    assert_eq!(phone.closed().await.code, Some(4503));
    ann.refused("end_session", json!({"session": session}), "not_found").await;
    let list = ann.ok("list_sessions", json!({})).await;
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    // One's own is a logout.
    let own = list["sessions"][0]["session"].clone();
    ann.ok("end_session", json!({"session": own})).await;
    assert_eq!(ann.closed().await.code, Some(4503));
}

#[actix::test]
async fn profiles_and_rooms_change_for_everybody() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let mut cleo = cluster.register(2, "cleo").await;
    let reply = bob.ok("set_profile", json!({"display": " Bob B. "})).await;
    assert_eq!(reply["user"]["display"], "Bob B.");
    ann.event(json!({"ev": "user", "name": "bob", "display": "Bob B."})).await;
    assert_eq!(bob.ok("set_profile", json!({"display": ""})).await["user"]["display"], "bob");
    bob.refused("set_profile", json!({"display": "a\nb"}), "bad_request").await;

    let private = bob.create_room("secret", "private").await;
    let id = new_id();
    let fields = json!({"room": private, "name": "plans", "topic": "what to do"});
    let changed = bob.ask_as(&id, "set_room", fields.clone()).await;
    done("set_room", &changed);
    assert_like(&changed["room"], &json!({"name": "plans", "topic": "what to do", "member": true}));
    assert_eq!(changed["room"]["at"], changed["at"]);
    let again = bob.ask_as(&id, "set_room", fields).await;
    assert_eq!((&again["duplicate"], &again["at"]), (&json!(true), &changed["at"]));
    cleo.refused("set_room", json!({"room": private, "name": "mine"}), "not_found").await;
    // An admin may, and sees that it is there.
    let is_listed = async || {
        let all = ann.ok("list_rooms", json!({"all": true})).await;
        each(&all["rooms"], "name").contains(&&json!("plans")).then_some(())
    };
    cluster.wait_for("the room to be listed", is_listed).await;
    ann.ok("set_room", json!({"room": private, "topic": ""})).await;
    bob.event(json!({"ev": "room", "room": private, "topic": ""})).await;
    // The public one is ann's.
    bob.refused("set_room", json!({"room": room, "topic": "x"}), "forbidden").await;
    bob.refused("set_room", json!({"room": room}), "bad_request").await;
    ann.refused("set_room", json!({"room": room, "name": "plans"}), "conflict").await;
    ann.ok("set_room", json!({"room": room, "name": "secret"})).await;
    bob.event(json!({"ev": "room", "room": room, "name": "secret", "member": true})).await;
    // Whoever comes later is told the same.
    let mut bob_too = cluster.client(2).await;
    let position = json!({"cursor": 0, "epoch": bob.welcome["epoch"]});
    bob_too.hello(&bob.token, position).await;
    bob_too.event(json!({"ev": "room", "room": room, "name": "secret", "member": true})).await;
}

#[actix::test]
async fn the_same_over_http() {
    let (cluster, ann) = closed_with_admin(1, 0).await;
    let url = cluster.nodes[0].url();
    let asked = async |name: &str, token: Option<&str>, key: Option<&str>, fields: Value| {
        let answer = op(&url, name, token, key, &fields).await;
        (answer.status, answer.json())
    };
    let token = Some(ann.token.as_str());
    let (status, made) = asked("create_invite", token, Some("i"), json!({"hours": 1})).await;
    assert_eq!(status, 200, "{made}");
    let (_, again) = asked("create_invite", token, Some("i"), json!({"hours": 1})).await;
    assert_eq!((&again["duplicate"], &again["until"]), (&json!(true), &made["until"]));
    let link = token_of(&text(&again, "link"), "invite", &url);
    let (status, bob) = asked("register", None, None, account("bob", &link)).await;
    assert_eq!(status, 200, "{bob}");
    let bobs = text(&bob, "token");
    let (status, refusal) = asked("create_invite", Some(&bobs), None, json!({})).await;
    assert_eq!(status, 403, "{refusal}");
    let (_, made) = asked("reset_password", token, None, json!({"user": "bob"})).await;
    let link = token_of(&text(&made, "link"), "reset", &url);
    let (status, reply) =
        asked("set_password", None, None, json!({"link": link, "password": "a new password"})).await;
    assert_eq!((status, &reply["user"]["name"]), (200, &json!("bob")), "{reply}");
    let (status, _) = asked("list_sessions", Some(&bobs), None, json!({})).await;
    assert_eq!(status, 401);
    let (status, _) = asked("list_invites", None, None, json!({})).await;
    assert_eq!(status, 401);
}
