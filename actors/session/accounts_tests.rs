use std::sync::Mutex;

use super::*;
use crate::chat::command::LEVEL_FIRST;
use crate::chat::objects::Role;
use crate::ids::{RaftId, Seq};
use crate::messages::consensus::{Propose, ReadBarrier};
use crate::session::executor::Started;
use crate::session::testing::{asked, executor, ports, user};

fn row(name: &str) -> UserRow {
    UserRow {
        at: At(1),
        name: name.into(),
        display: name.into(),
        role: Role::Member,
        password_hash: "hash".into(),
        deleted: false,
        disabled: false,
        bot: None,
        created_by: "1".into(),
        created_digest: [0; 16],
    }
}

/// A chat of ann, in which every password is wrong.
fn all_are_wrong() -> Arc<Executor> {
    let mut ports = ports();
    ports.barrier = asked(|ReadBarrier { reply }| reply.send(Ok(())).unwrap());
    ports.account = asked(|Account { name, reply }| {
        let found = (name == "ann").then(|| row(&name));
        reply.send(Ok(found)).unwrap();
    });
    ports.passwords.verify = asked(|Verify { reply, .. }| reply.send(false).unwrap());
    executor(ports)
}

fn from(address: &str) -> Caller {
    Caller::new(Some(address.parse().unwrap()), None)
}

async fn login(executor: &Executor, name: &str, from: &Caller) -> Code {
    let op = Op::Login { name: name.into(), password: "guess".into(), resume: Resume::default() };
    executor.admit("1", op, from).await.unwrap_err().code
}

/// Who holds a token guesses its user's password no faster than anybody else.
#[actix::test]
async fn wrong_passwords_are_counted_wherever_they_are_given() {
    let executor = all_are_wrong();
    let who = Who { user: "ann".into(), token_hash: [1; 32], rights: None };
    let caller = from("2001:db8::1");
    let delete = async |caller: &Caller| {
        let op = Op::DeleteAccount { password: "guess".into() };
        match executor.start(&who, "1", op, caller) {
            Started::Now(reply) => reply,
            Started::Later(later) => later.await,
        }
        .unwrap_err()
        .code
    };
    assert_eq!(login(&executor, "nobody", &caller).await, Code::Unauthorized);
    for _ in 0..2 {
        assert_eq!(delete(&caller).await, Code::Forbidden);
    }
    assert_eq!(delete(&caller).await, Code::RateLimited);
    assert_eq!(login(&executor, "ann", &from("2001:db8::2")).await, Code::RateLimited, "the same network");
    assert_eq!(delete(&from("2001:db8:1::1")).await, Code::Forbidden);
}

#[actix::test]
async fn what_cannot_be_a_name_is_not_kept_to_be_counted() {
    let executor = all_are_wrong();
    let long = "x".repeat(60_000);
    for (name, counted) in [(long.as_str(), false), ("no name", false), ("nobody", true)] {
        for host in 1..=3 {
            let code = login(&executor, name, &from(&format!("192.0.2.{host}"))).await;
            assert_eq!(code, Code::Unauthorized);
        }
        let waits = locked(&executor.failed_by_name).wait(&name.to_owned(), Instant::now());
        assert_eq!(waits.is_err(), counted, "{}", name.len());
    }
}

/// While a member is older, what it does not read is left out of a change, or the change is refused.
#[actix::test]
async fn what_an_older_member_does_not_read_is_said_in_earlier_words() {
    let asked_for: Arc<Mutex<Vec<(Change, u8)>>> = Arc::default();
    let seen = Arc::clone(&asked_for);
    let mut ports = ports();
    ports.barrier = asked(|ReadBarrier { reply }| reply.send(Ok(())).unwrap());
    ports.account = asked(|Account { reply, .. }| reply.send(Ok(Some(row("ann")))).unwrap());
    ports.passwords.verify = asked(|Verify { reply, .. }| reply.send(true).unwrap());
    ports.propose = asked(move |Propose { command, reply }| {
        let level = command.change.level();
        seen.lock().unwrap().push((command.change, level));
        let done = Outcome { at: At(7), duplicate: false, done: Done::Account(user("ann")) };
        let older = NotDone::TooNew { member: RaftId(2) };
        reply.send(if level > LEVEL_FIRST { Err(older) } else { Ok(done) }).unwrap();
    });
    let executor = executor(ports);
    let op = Op::Login { name: "ann".into(), password: "right".into(), resume: Resume::default() };
    let admitted = executor.admit("1", op, &from("192.0.2.1")).await.unwrap();
    assert!(admitted.token.is_some() && admitted.at == Some(At(7)));
    let who = Who { user: "ann".into(), token_hash: [1; 32], rights: None };
    let change = async |change| match executor.start_change(&who, "2", change) {
        Started::Now(reply) => reply,
        Started::Later(later) => later.await,
    };
    let edit = Change::Edit { room: RoomId(1), seq: Seq(1), text: "new".into(), version: None, keep: true };
    change(edit).await.unwrap();
    let muted = change(Change::Mute { room: RoomId(1), on: true }).await.unwrap_err();
    assert!(muted.message.contains("not every node is known to read"), "{}", muted.message);

    let asked_for = asked_for.lock().unwrap();
    let levels: Vec<u8> = asked_for.iter().map(|(_, level)| *level).collect();
    assert_eq!(levels, [2, 1, 2, 1, 2]);
    let (Change::Login { token_hash, .. }, Change::Login { token_hash: again, agent: None, .. }) =
        (&asked_for[0].0, &asked_for[1].0)
    else {
        panic!("{asked_for:?}")
    };
    assert_eq!(token_hash, again, "the token that was told");
}
