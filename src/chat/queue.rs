//! The order in which waiting changes leave: no clock, no file, no socket.
//!
//! A room's next change leaves only after its last one is settled; a refused one steps aside for those behind it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::keep::Item;

const FIRST_RETRY_MS: u64 = 500;
const LONGEST_RETRY_MS: u64 = 5000;

#[derive(Default)]
pub struct Queue {
    /// By id, and so by the time of their writing.
    items: BTreeMap<String, Item>,
    /// Those that were written here: they stay until this client knows how they ended.
    own: HashSet<String>,
    /// Tries under way.
    flying: HashSet<String>,
    resting: BTreeMap<String, Rest>,
}

#[derive(Clone, Copy)]
struct Rest {
    tries: u32,
    until: u64,
}

impl Queue {
    /// In the order of their writing.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    pub fn get(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }

    /// Takes in what was written here.
    pub fn add(&mut self, item: Item) {
        self.own.insert(item.id.clone());
        self.items.insert(item.id.clone(), item);
    }

    /// Follows what is on the disk: others write there too, and settle what they find.
    pub fn follow(&mut self, kept: Vec<Item>) {
        let there: BTreeSet<String> = kept.iter().map(|item| item.id.clone()).collect();
        let gone = |id: &String| !there.contains(id) && !self.own.contains(id) && !self.flying.contains(id);
        let gone: Vec<String> = self.items.keys().filter(|id| gone(id)).cloned().collect();
        for id in gone {
            self.settle(&id);
        }
        for item in kept {
            if !self.flying.contains(&item.id) {
                self.items.insert(item.id.clone(), item);
            }
        }
    }

    /// What may leave now: for each room its first waiting change, unless that one is under way or resting.
    pub fn take_due(&mut self, now: u64) -> Vec<Item> {
        let mut taken = HashSet::new();
        let mut due = Vec::new();
        for item in self.items.values().filter(|item| item.refused.is_none()) {
            let is_first = taken.insert(item.room);
            let rests = self.resting.get(&item.id).is_some_and(|rest| rest.until > now);
            if is_first && !rests && !self.flying.contains(&item.id) {
                due.push(item.clone());
            }
        }
        self.flying.extend(due.iter().map(|item| item.id.clone()));
        due
    }

    /// When the next resting change may leave.
    pub fn wake_at(&self) -> Option<u64> {
        let waits = |id: &String| {
            !self.flying.contains(id) && self.items.get(id).is_some_and(|item| item.refused.is_none())
        };
        self.resting.iter().filter(|(id, _)| waits(id)).map(|(_, rest)| rest.until).min()
    }

    /// Done, or given up. Says whether it waited here.
    pub fn settle(&mut self, id: &str) -> bool {
        self.flying.remove(id);
        self.resting.remove(id);
        self.own.remove(id);
        self.items.remove(id).is_some()
    }

    /// Refused for good.
    pub fn refuse(&mut self, id: &str, why: &str) {
        self.flying.remove(id);
        self.resting.remove(id);
        if let Some(item) = self.items.get_mut(id) {
            item.refused = Some(why.to_owned());
        }
    }

    /// Not now, or nobody knows: the same id again after a pause.
    pub fn rest(&mut self, id: &str, now: u64, pause_ms: Option<u64>) {
        if !self.flying.remove(id) {
            return;
        }
        let tries = self.resting.get(id).map_or(0, |rest| rest.tries);
        let pause = pause_ms.unwrap_or_else(|| LONGEST_RETRY_MS.min(FIRST_RETRY_MS << tries.min(8)));
        self.resting.insert(id.to_owned(), Rest { tries: tries + 1, until: now + pause });
    }

    /// The servers are back: nobody rests.
    pub fn wake_all(&mut self) {
        self.resting.clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn item(id: &str, room: u64) -> Item {
        let (op, fields) = ("send".into(), Value::Null);
        Item { id: id.into(), room, op, fields, written: 0, refused: None }
    }

    fn due(queue: &mut Queue, now: u64) -> Vec<String> {
        queue.take_due(now).into_iter().map(|item| item.id).collect()
    }

    #[test]
    fn one_of_a_room_at_a_time_and_in_order() {
        let mut queue = Queue::default();
        for (id, room) in [("c", 1), ("a", 1), ("b", 2), ("d", 2)] {
            queue.add(item(id, room));
        }
        assert_eq!(due(&mut queue, 0), ["a", "b"]);
        assert_eq!(due(&mut queue, 0), Vec::<String>::new());
        assert!(queue.settle("a"));
        assert!(!queue.settle("a"));
        assert_eq!(due(&mut queue, 0), ["c"]);
        queue.refuse("b", "no");
        assert_eq!(due(&mut queue, 0), ["d"]);
        assert_eq!(queue.get("b").unwrap().refused.as_deref(), Some("no"));
    }

    #[test]
    fn who_rests_holds_up_its_room() {
        let mut queue = Queue::default();
        queue.add(item("a", 1));
        queue.add(item("b", 1));
        for (now, until) in [(0, 500), (500, 1500), (1500, 3500), (3500, 7500), (7500, 12_500)] {
            assert_eq!(due(&mut queue, now), ["a"], "{now}");
            queue.rest("a", now, None);
            assert_eq!(queue.wake_at(), Some(until));
            assert_eq!(due(&mut queue, until - 1), Vec::<String>::new());
        }
        queue.wake_all();
        assert_eq!(due(&mut queue, 7501), ["a"]);
        queue.rest("a", 7501, Some(30));
        assert_eq!(queue.wake_at(), Some(7531));
    }

    #[test]
    fn another_client_takes_from_the_file_and_adds_to_it() {
        let mut queue = Queue::default();
        queue.add(item("own", 1));
        queue.follow(vec![item("a", 2), item("b", 2), item("own", 1)]);
        assert_eq!(due(&mut queue, 0), ["a", "own"]);
        // Settled elsewhere: what flies is answered, the own is to be known, the rest is gone.
        queue.follow(vec![item("c", 2)]);
        let left: Vec<_> = queue.items().map(|item| item.id.clone()).collect();
        assert_eq!(left, ["a", "c", "own"]);
    }
}
