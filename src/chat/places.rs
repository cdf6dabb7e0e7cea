//! Which room is meant by `general` or `@bob`: asked for step by step until it is known. Pure.

use serde_json::{Value, json};

use super::frames::{self, Problem, Room};

/// A room as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Named(String),
    /// The conversation with one other person.
    Direct(String),
}

impl Place {
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(name) => Self::Direct(name.to_lowercase()),
            None => Self::Named(text.strip_prefix('#').unwrap_or(text).to_owned()),
        }
    }

    /// Its room among one's own.
    pub fn among<'a>(&self, rooms: &'a [Room], me: &str) -> Option<&'a Room> {
        let is_it = |room: &&Room| match self {
            Self::Named(name) => room.kind != "direct" && room.name == *name,
            Self::Direct(name) => {
                room.kind == "direct"
                    && room.users.iter().any(|user| user == name)
                    && room.users.iter().all(|user| user == name || user == me)
            }
        };
        rooms.iter().find(is_it)
    }
}

/// What to do next to find it.
#[derive(Debug, PartialEq)]
pub enum Next {
    Found(Box<Room>),
    Ask { op: &'static str, fields: Value },
    Failed(String),
}

pub struct Search {
    place: Place,
    /// Whether to enter a public room that one is not in.
    joins: bool,
}

impl Search {
    pub fn new(place: Place, joins: bool) -> Self {
        Self { place, joins }
    }

    /// One's own rooms are known.
    pub fn begin(&self, rooms: &[Room], me: &str) -> Next {
        match (&self.place, self.place.among(rooms, me)) {
            (_, Some(room)) => Next::Found(Box::new(room.clone())),
            (Place::Named(_), None) => Next::Ask { op: "list_rooms", fields: json!({}) },
            (Place::Direct(name), None) => Next::Ask { op: "open_direct", fields: json!({"users": [name]}) },
        }
    }

    /// The answer to what was asked.
    pub fn answered(&self, reply: &Value) -> Next {
        if let Some(room) = reply.get("room") {
            return match serde_json::from_value(room.clone()) {
                Ok(room) => Next::Found(Box::new(room)),
                Err(error) => Next::Failed(format!("the node's answer is not a room: {error}")),
            };
        }
        let rooms: Vec<Room> = frames::list(reply, "rooms");
        match (self.place.among(&rooms, ""), &self.place) {
            (Some(room), _) if room.member => Next::Found(Box::new(room.clone())),
            (Some(room), _) if self.joins => Next::Ask { op: "join", fields: json!({"room": room.room}) },
            (Some(room), _) => {
                Next::Failed(format!("you are not in the room {}: add --join to enter it", room.name))
            }
            (None, Place::Named(name) | Place::Direct(name)) => {
                Next::Failed(format!("there is no room {name} that you may enter"))
            }
        }
    }

    /// It was refused.
    pub fn refused(&self, problem: &Problem) -> Next {
        match &self.place {
            Place::Direct(name) => Next::Failed(format!("cannot write to {name}: {problem}")),
            Place::Named(name) => Next::Failed(format!("cannot enter the room {name}: {problem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(room: u64, name: &str, users: &[&str], member: bool) -> Room {
        let kind = if name.is_empty() { "direct" } else { "public" };
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        Room { room, name: name.into(), kind: kind.into(), users, member, ..Room::default() }
    }

    #[test]
    fn rooms_and_people_among_ones_own() {
        let rooms =
            [room(1, "general", &[], true), room(2, "", &["ann", "bob"], true), room(3, "", &["ann"], true)];
        for (place, expected) in
            [("general", Some(1)), ("#general", Some(1)), ("@Bob", Some(2)), ("@cy", None), ("bob", None)]
        {
            let found = Place::parse(place).among(&rooms, "ann").map(|room| room.room);
            assert_eq!(found, expected, "{place}");
        }
    }

    #[test]
    fn a_room_one_is_not_in_is_entered_when_asked_for() {
        let listed = json!({"rooms": [{"room": 7, "name": "general", "kind": "public", "member": false}]});
        let search = |joins| Search::new(Place::parse("general"), joins);
        assert_eq!(search(true).begin(&[], "ann"), Next::Ask { op: "list_rooms", fields: json!({}) });
        assert_eq!(search(true).answered(&listed), Next::Ask { op: "join", fields: json!({"room": 7}) });
        assert!(matches!(search(false).answered(&listed), Next::Failed(why) if why.contains("--join")));
        let joined = json!({"room": {"room": 7, "name": "general", "kind": "public", "member": true}});
        assert!(matches!(search(true).answered(&joined), Next::Found(room) if room.room == 7));
        let none = json!({"rooms": []});
        assert!(matches!(search(true).answered(&none), Next::Failed(why) if why.contains("no room general")));
    }
}
