//! For tests: an executor whose actors are closures.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use tokio::sync::watch;

use super::executor::{Config, Executor, Ports};
use super::files::FilePorts;
use super::reply::Limits;
use crate::bus::{Envelope, Port, Post, Seat};
use crate::chat::objects::{Role, User};
use crate::chat::tables::Registration;
use crate::files::links::LinkKey;
use crate::messages::hub::ShardDoor;
use crate::messages::passwords::PasswordPorts;
use crate::metrics::Metrics;
use crate::peer_link::secret::Secret;

/// Answers one kind of question.
struct Asked<M>(Box<dyn FnMut(M)>);

impl<M: Post + Unpin> Actor for Asked<M> {
    type Context = Context<Self>;
}

impl<M: Post + Unpin> Handler<Envelope<M>> for Asked<M> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<M>, _: &mut Self::Context) {
        let (question, _handling) = envelope.open();
        (self.0)(question);
    }
}

/// The way to somebody who does this with what is asked.
pub fn asked<M: Post + Unpin>(answer: impl FnMut(M) + 'static) -> Port<M> {
    let address = Asked(Box::new(answer)).start();
    Seat::new(&Metrics::new(), "asked", 16).port(address.recipient())
}

/// To somebody who never answers: as if the node were stopping.
pub fn nobody<M: Post + Unpin>() -> Port<M> {
    asked(drop::<M>)
}

/// Ways to nobody, but for what a test puts in their place.
pub fn ports() -> Ports {
    Ports {
        propose: nobody(),
        barrier: nobody(),
        session_of: nobody(),
        account: nobody(),
        home: nobody(),
        pull: nobody(),
        history: nobody(),
        users: nobody(),
        rooms: nobody(),
        members: nobody(),
        sessions: nobody(),
        invites: nobody(),
        link_of: nobody(),
        registration: nobody(),
        bots: nobody(),
        subscriptions: nobody(),
        versions: nobody(),
        search: nobody(),
        passwords: PasswordPorts { hash: nobody(), verify: nobody(), fingerprint: nobody() },
        typing: nobody(),
        online: nobody(),
        surroundings: nobody(),
        files: FilePorts {
            find: nobody(),
            secure: nobody(),
            files_seen: nobody(),
            sent_since: nobody(),
            done_before: nobody(),
            links: LinkKey::new(&Secret::new("secret"), "cluster"),
        },
    }
}

pub fn door() -> ShardDoor {
    ShardDoor {
        arrive: nobody(),
        enter: nobody(),
        caught_up: nobody(),
        delivered: nobody(),
        alive: nobody(),
        beat: nobody(),
        depart: nobody(),
        reached: nobody(),
    }
}

/// Three wrong passwords a minute from one address, and for one name.
pub fn executor(ports: Ports) -> Arc<Executor> {
    let limits = Limits {
        message_bytes: 8192,
        frame_bytes: 65_536,
        file_bytes: 1000,
        messages_per_second: 0,
        logins_per_minute: 3,
    };
    let config = Config {
        limits,
        registration: Registration::Open,
        first_is_admin: true,
        allow_private: true,
        heartbeat_ms: 100,
    };
    let (_, directory) = watch::channel(Arc::default());
    Executor::new(ports, config, directory)
}

pub fn user(name: &str) -> User {
    User {
        name: name.into(),
        display: name.into(),
        role: Role::Member,
        deleted: false,
        disabled: false,
        bot: false,
    }
}
