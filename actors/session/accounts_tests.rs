use super::*;
use crate::chat::objects::Role;
use crate::messages::consensus::ReadBarrier;
use crate::session::executor::Started;
use crate::session::testing::{asked, executor, ports};

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
