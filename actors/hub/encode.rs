//! Events and passing news as the JSON of the contract, once for everybody.

use bytestring::ByteString;
use serde::Serialize;

use crate::chat::objects::Event;
use crate::chat::outcome::{Audience, Notice};
use crate::ids::{At, RoomId};
use crate::messages::hub::Encoded;
use crate::messages::people::Cluster;

#[derive(Serialize)]
#[serde(tag = "ev", rename_all = "lowercase")]
enum News<'a> {
    Cursor {
        at: At,
    },
    Typing {
        room: RoomId,
        user: &'a str,
    },
    Presence {
        user: &'a str,
        online: bool,
    },
    Cluster {
        #[serde(flatten)]
        cluster: &'a Cluster,
    },
    Bye {
        reason: &'a str,
        nodes: &'a [String],
    },
}

/// Encodes one change. `None` when it cannot be: a bug, which is logged.
pub fn notice(notice: &Notice) -> Option<Encoded> {
    let (room, member) = match &notice.event {
        Event::Message(message) => (Some(message.room), None),
        Event::Room(room) => {
            let to_one = matches!(notice.audience, Audience::User(_));
            (Some(room.room), to_one.then_some(room.member))
        }
        Event::Member { room, .. } | Event::Read { room, .. } | Event::Mute { room, .. } => {
            (Some(*room), None)
        }
        Event::User(_) => (None, None),
    };
    let frame = event(&notice.event)?;
    Some(Encoded { at: notice.event.at(), audience: notice.audience.clone(), room, member, frame })
}

/// One event as a frame. `None` when it cannot be encoded: a bug, which is logged.
pub fn event(event: &Event) -> Option<ByteString> {
    json(event)
}

pub fn cursor(at: At) -> ByteString {
    json(&News::Cursor { at }).unwrap_or_default()
}

pub fn typing(room: RoomId, user: &str) -> ByteString {
    json(&News::Typing { room, user }).unwrap_or_default()
}

pub fn presence(user: &str, online: bool) -> ByteString {
    json(&News::Presence { user, online }).unwrap_or_default()
}

pub fn cluster(cluster: &Cluster) -> ByteString {
    json(&News::Cluster { cluster }).unwrap_or_default()
}

pub fn bye(reason: &str, nodes: &[String]) -> ByteString {
    json(&News::Bye { reason, nodes }).unwrap_or_default()
}

fn json<T: Serialize>(value: &T) -> Option<ByteString> {
    match serde_json::to_string(value) {
        Ok(text) => Some(ByteString::from(text)),
        Err(error) => {
            tracing::error!(%error, "an event cannot be encoded");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::objects::{Role, User, UserEvent};
    use crate::ids::Seq;

    #[test]
    fn frames_are_those_of_the_contract() {
        assert_eq!(cursor(At(7)), r#"{"ev":"cursor","at":7}"#);
        assert_eq!(typing(RoomId(3), "ann"), r#"{"ev":"typing","room":3,"user":"ann"}"#);
        assert_eq!(presence("ann", true), r#"{"ev":"presence","user":"ann","online":true}"#);
        assert_eq!(
            bye("stopping", &["http://b".to_owned()]),
            r#"{"ev":"bye","reason":"stopping","nodes":["http://b"]}"#
        );
        assert_eq!(
            cluster(&Cluster::default()),
            r#"{"ev":"cluster","leader":null,"quorum":false,"nodes":[]}"#
        );
        let read = Event::Read { at: At(9), room: RoomId(1), user: "ann".to_owned(), seq: Seq(2) };
        assert_eq!(event(&read).unwrap(), r#"{"ev":"read","at":9,"room":1,"user":"ann","seq":2}"#);
        let mute = Event::Mute { at: At(9), room: RoomId(1), muted: true };
        assert_eq!(event(&mute).unwrap(), r#"{"ev":"mute","at":9,"room":1,"muted":true}"#);
        let user = User {
            name: "ann".to_owned(),
            display: "Ann".to_owned(),
            role: Role::Admin,
            deleted: false,
            disabled: false,
            bot: false,
        };
        let told = |user| event(&Event::User(UserEvent { at: At(4), user })).unwrap();
        assert_eq!(
            told(user.clone()),
            r#"{"ev":"user","at":4,"name":"ann","display":"Ann","role":"admin","deleted":false}"#
        );
        assert_eq!(
            told(User { disabled: true, bot: true, ..user }),
            concat!(
                r#"{"ev":"user","at":4,"name":"ann","display":"Ann","role":"admin","deleted":false,"#,
                r#""disabled":true,"bot":true}"#
            )
        );
    }
}
