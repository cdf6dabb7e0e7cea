//! What the index finds, as of one moment of `chat.db`.

use rusqlite::{Connection, OptionalExtension, params};

use super::index::{Index, IndexError, author_mark, room_mark};
use crate::chat::objects::Message;
use crate::chat_db::rows::{self, columns, int, number, rooms_of};
use crate::ids::{At, RoomId};
use crate::messages::search::{Found, FoundPage, Search, Searched};
use crate::words::{Phrase, Query};

impl Index {
    /// The newest messages that hold what is looked for. `chat` is in a read transaction; what lies behind
    /// the index there is not found.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn search(&self, chat: &Connection, search: &Search, partial: bool) -> Result<Searched, IndexError> {
        let seen = Seen { chat };
        let mut rooms = seen.rooms_of(&search.user).map_err(IndexError::Chat)?;
        if let Some(room) = search.room {
            if !rooms.contains(&room) {
                return Ok(Searched::NoSuchRoom);
            }
            rooms = vec![room];
        }
        if let Some(from) = &search.from
            && !seen.is_user(from).map_err(IndexError::Chat)?
        {
            return Ok(Searched::NoSuchUser);
        }
        let mut page = FoundPage { messages: Vec::new(), more: false, at: self.at(), partial };
        if !rooms.is_empty() && !search.query.phrases().is_empty() {
            let wanted = expression(&rooms, search.from.as_deref(), &search.query);
            let old = match search.before_time {
                None => None,
                Some(time_ms) => Some(self.old(&seen, &rooms, time_ms)?),
            };
            self.find(&seen, &wanted, search, old, &mut page)?;
        }
        Ok(Searched::Found(page))
    }

    /// Where in the index the messages are that were sent in these rooms before a time.
    fn old(&self, seen: &Seen<'_>, rooms: &[RoomId], time_ms: u64) -> Result<Old, IndexError> {
        let sent_at = seen.last_sent_before(rooms, time_ms).map_err(IndexError::Chat)?;
        let sql = "SELECT max(at) FROM moved WHERE sent_at <= ?1";
        let moved = |row: &rusqlite::Row<'_>| row.get::<_, Option<i64>>(0);
        let moved = self.conn.prepare_cached(sql).and_then(|mut one| one.query_row([int(sent_at.0)], moved));
        let moved = moved.map_err(IndexError::Search)?.unwrap_or_default();
        Ok(Old { sent_at: int(sent_at.0), at: moved.max(int(sent_at.0)) })
    }

    fn find(
        &self,
        seen: &Seen<'_>,
        wanted: &str,
        search: &Search,
        old: Option<Old>,
        page: &mut FoundPage,
    ) -> Result<(), IndexError> {
        // What is newer and was not moved is passed over without a look at the message.
        let sql = "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid < ?2
                   AND (+rowid <= ?3 OR +rowid IN (SELECT at FROM moved WHERE sent_at <= ?3 AND at > ?3))
                   ORDER BY rowid DESC";
        let Old { sent_at, at } = old.unwrap_or(Old { sent_at: i64::MAX, at: i64::MAX });
        let before = search.before.map_or(i64::MAX, |at| int(at.0)).min(at.saturating_add(1));
        let mut statement = self.conn.prepare_cached(sql).map_err(IndexError::Search)?;
        let mut found = statement.query(params![wanted, before, sent_at]).map_err(IndexError::Search)?;
        while let Some(row) = found.next().map_err(IndexError::Search)? {
            let at = rows::at(row, 0).map_err(IndexError::Search)?;
            // One that changed meanwhile is found again once the index is there.
            let Some(message) = seen.message(at).map_err(IndexError::Chat)? else { continue };
            if search.before_time.is_some_and(|time_ms| message.time >= time_ms) {
                continue;
            }
            if page.messages.len() == search.limit {
                page.more = true;
                break;
            }
            let hit = search.query.hits(&message.text);
            page.messages.push(Found { message, hit });
        }
        Ok(())
    }
}

/// What FTS5 is asked for. All of it stands between quotes, and no key holds one.
fn expression(rooms: &[RoomId], from: Option<&str>, query: &Query) -> String {
    let rooms: Vec<_> = rooms.iter().map(|room| format!("\"{}\"", room_mark(*room))).collect();
    let mut wanted = format!("({})", rooms.join(" OR "));
    if let Some(from) = from {
        wanted.push_str(&format!(" AND \"{}\"", author_mark(from)));
    }
    for Phrase { keys, open, .. } in query.phrases() {
        let star = if *open { " *" } else { "" };
        wanted.push_str(&format!(" AND \"{}\"{star}", keys.join(" ")));
    }
    wanted
}

/// Up to where messages were sent that are old enough, and up to where the index has them: those that changed later
/// are further on.
struct Old {
    sent_at: i64,
    at: i64,
}

/// The tables as of one moment.
struct Seen<'c> {
    chat: &'c Connection,
}

impl Seen<'_> {
    fn rooms_of(&self, user: &str) -> rusqlite::Result<Vec<RoomId>> {
        let sql = concat!(rooms_of!("?1"), " ORDER BY room");
        self.chat.prepare_cached(sql)?.query_map([user], |row| number(row, 0).map(RoomId))?.collect()
    }

    fn is_user(&self, name: &str) -> rusqlite::Result<bool> {
        self.chat.prepare_cached("SELECT 1 FROM users WHERE name = ?1")?.exists([name])
    }

    /// The highest `sent_at` of what was sent in these rooms before a time. In a room places, times and `sent_at` rise
    /// together, so its last such message is found by halves.
    fn last_sent_before(&self, rooms: &[RoomId], time_ms: u64) -> rusqlite::Result<At> {
        let last = "SELECT coalesce(max(seq), 0) FROM messages WHERE room = ?1";
        let mut last = self.chat.prepare_cached(last)?;
        let sent = "SELECT time, sent_at FROM messages WHERE room = ?1 AND seq = ?2";
        let mut sent = self.chat.prepare_cached(sent)?;
        let mut newest = At(0);
        for room in rooms {
            let (mut low, mut high) = (0, last.query_row([int(room.0)], |row| number(row, 0))?);
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                let place = [int(room.0), int(middle)];
                let (time, at) = sent.query_row(place, |row| Ok((number(row, 0)?, rows::at(row, 1)?)))?;
                if time < time_ms {
                    low = middle;
                    newest = newest.max(at);
                } else {
                    high = middle - 1;
                }
            }
        }
        Ok(newest)
    }

    fn message(&self, at: At) -> rusqlite::Result<Option<Message>> {
        let sql = concat!("SELECT ", columns!(message), " FROM messages WHERE at = ?1 AND deleted = 0");
        self.chat.prepare_cached(sql)?.query_row([int(at.0)], rows::message).optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Change, Command};
    use crate::chat::objects::RoomKind;
    use crate::chat::script::{Dice, Script};
    use crate::chat::tables::Row;
    use crate::chat_db::read_only;
    use crate::ids::Seq;
    use crate::indexer::index::{FILE, Standing};
    use crate::metrics::Metrics;
    use crate::storage::Store;
    use crate::storage::testing::{TestDir, batch, command, committed, send, setup, started};
    use tokio::sync::oneshot;

    /// A store, what reads it, and its index.
    struct Stand {
        dir: TestDir,
        store: Store,
        chat: Connection,
        index: Index,
        entry: u64,
    }

    fn open(dir: &TestDir, chat: &Connection) -> (Index, Option<String>) {
        Index::open(&dir.data(), &Standing::of(chat).unwrap(), None).unwrap()
    }

    impl Stand {
        fn new(commands: &[Command]) -> Self {
            let dir = TestDir::new();
            let (store, _) = started(&dir);
            let chat = read_only::open(store.path(), 1024).unwrap();
            let (index, _) = open(&dir, &chat);
            let mut stand = Self { dir, store, chat, index, entry: 1 };
            stand.apply(1, commands);
            stand
        }

        fn apply(&mut self, time_ms: u64, commands: &[Command]) {
            self.entry += 1;
            self.store.apply(&[committed(self.entry, batch(time_ms, commands))], || false).unwrap();
        }

        /// Some steps, so that it ends in the middle as well.
        fn follow(&mut self, messages_max: usize) {
            let counted = Metrics::new().search_indexed;
            while !self.index.follow(&self.chat, messages_max, &counted).unwrap() {}
        }

        fn ask(&self, search: &Search) -> FoundPage {
            match self.index.search(&self.chat, search, false).unwrap() {
                Searched::Found(page) => page,
                other => panic!("{other:?}"),
            }
        }

        fn seqs(&mut self, user: &str, text: &str) -> Vec<u64> {
            self.follow(100);
            self.ask(&wants(user, text)).messages.iter().map(|found| found.message.seq.0).collect()
        }
    }

    fn wants(user: &str, text: &str) -> Search {
        let query = Query::read(text);
        let (reply, _) = oneshot::channel();
        Search {
            user: user.into(),
            query,
            room: None,
            from: None,
            before: None,
            before_time: None,
            limit: 100,
            reply,
        }
    }

    fn said(texts: &[&str]) -> Vec<Command> {
        let mut commands = setup(&["ann", "bob", "c.d_e-f"], 2);
        let sends = (1..).zip(texts).map(|(number, text)| send("ann", 1, &number.to_string(), text));
        commands.extend(sends);
        commands
    }

    #[test]
    fn words_are_found_in_any_script() {
        let mut stand = Stand::new(&said(&[
            "The replicated log, node-1",
            "Viele Grüße aus der Straße",
            "日本語のメッセージを送る",
            "ภาษาไทยไม่มีช่องว่าง",
            "서버가 다시 시작했다",
            "👍🏽 done 🇩🇪",
            "nothing AND \"else\" OR more* (x",
            "log replicated the",
        ]));
        for (text, seqs) in [
            ("replicated", vec![8, 1]),
            ("REPL*", vec![8, 1]),
            ("replicate", vec![]),
            ("\"replicated log\"", vec![1]),
            ("\"replicated l\"*", vec![1]),
            ("log the", vec![8, 1]),
            ("node-1", vec![1]),
            ("grusse", vec![2]),
            ("STRASSE grüße", vec![2]),
            ("メッセ", vec![3]),
            ("を", vec![3]),
            ("る", vec![3]),
            ("本語の", vec![3]),
            ("語本", vec![]),
            ("ช่อง", vec![4]),
            ("ว่าง", vec![4]),
            ("다시 서버", vec![5]),
            ("작했", vec![5]),
            ("👍", vec![6]),
            ("👍🏿", vec![6]),
            ("🇩🇪", vec![6]),
            ("🇩🇰", vec![]),
            ("AND", vec![7]),
            ("NOT (x", vec![]),
            ("(x", vec![7]),
            ("more* OR", vec![7]),
            ("text:log", vec![]),
            ("\u{e000}12 log", vec![]),
            ("\"", vec![]),
            ("*** ( -", vec![]),
        ] {
            assert_eq!(stand.seqs("bob", text), seqs, "{text}");
        }
    }

    #[test]
    fn what_changes_is_found_as_it_is_and_newest_at_first() {
        let mut stand = Stand::new(&said(&["one apple", "two apples", "three apple"]));
        assert_eq!(stand.seqs("bob", "apple"), [3, 1]);
        let edit = |id: &str, text: &str| {
            let change =
                Change::Edit { room: RoomId(1), seq: Seq(1), text: text.into(), version: None, keep: true };
            command("ann", id, change)
        };
        stand.apply(2, &[edit("e1", "one pear")]);
        assert_eq!(stand.seqs("bob", "apple"), [3]);
        assert_eq!(stand.seqs("bob", "pear"), [1]);
        stand.apply(3, &[edit("e2", "one apple again")]);
        assert_eq!(stand.seqs("bob", "apple"), [1, 3]);
        let (room, emoji) = (RoomId(1), "👍".to_owned());
        stand.apply(4, &[command("bob", "r", Change::React { room, seq: Seq(3), emoji, on: true })]);
        assert_eq!(stand.seqs("bob", "apple"), [3, 1]);
        // Changed twice before it is followed, and gone.
        stand.apply(5, &[edit("e3", "kiwi"), edit("e4", "apple kiwi")]);
        stand.apply(6, &[command("ann", "d", Change::Delete { room, seqs: vec![Seq(3)] })]);
        assert_eq!(stand.seqs("bob", "apple"), [1]);
        stand.apply(7, &[command("ann", "d1", Change::Delete { room, seqs: vec![Seq(1)] })]);
        for text in ["apple", "kiwi", "pear", "one"] {
            assert_eq!(stand.seqs("bob", text), [] as [u64; 0], "{text}");
        }
        let moved = "SELECT count(*) FROM moved";
        assert_eq!(stand.index.conn.query_row(moved, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn only_what_one_may_see_now() {
        let mut commands = said(&["word"]);
        commands.push(send("c.d_e-f", 2, "1", "word two"));
        let (name, kind, topic) = ("secret".to_owned(), RoomKind::Private, String::new());
        commands.push(command("ann", "secret", Change::CreateRoom { name, kind, topic }));
        commands.push(send("ann", 3, "s", "word three"));
        let mut stand = Stand::new(&commands);
        stand.follow(100);
        let places = |stand: &Stand, search: &Search| {
            let page = stand.ask(search);
            page.messages.iter().map(|found| found.message.room.0).collect::<Vec<_>>()
        };
        assert_eq!(places(&stand, &wants("bob", "word")), [2, 1]);
        assert_eq!(places(&stand, &wants("ann", "word")), [3, 2, 1]);
        assert_eq!(places(&stand, &wants("nobody", "word")), [] as [u64; 0]);
        let from = |name: &str| Search { from: Some(name.into()), ..wants("ann", "word") };
        assert_eq!(places(&stand, &from("c.d_e-f")), [2]);
        assert_eq!(places(&stand, &from("ann")), [3, 1]);
        assert_eq!(places(&stand, &from("bob")), [] as [u64; 0]);
        let answer = stand.index.search(&stand.chat, &from("zoe"), false).unwrap();
        assert_eq!(answer, Searched::NoSuchUser);
        let inside = |user: &str, room| Search { room: Some(RoomId(room)), ..wants(user, "word") };
        assert_eq!(places(&stand, &inside("bob", 1)), [1]);
        for room in [3, 9] {
            let answer = stand.index.search(&stand.chat, &inside("bob", room), false).unwrap();
            assert_eq!(answer, Searched::NoSuchRoom);
        }
        // The index need not follow for that.
        stand.apply(2, &[command("bob", "leave", Change::Leave { room: RoomId(2) })]);
        assert_eq!(places(&stand, &wants("bob", "word")), [1]);
        stand.apply(3, &[command("ann", "invite", Change::Invite { room: RoomId(3), user: "bob".into() })]);
        assert_eq!(places(&stand, &wants("bob", "word")), [3, 1]);
    }

    #[test]
    fn pages_go_back_by_at() {
        let texts: Vec<_> = (1..=7).map(|number| format!("word {number}")).collect();
        let mut stand = Stand::new(&said(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        stand.follow(3);
        let (mut before, mut seqs, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = stand.ask(&Search { before, limit: 3, ..wants("bob", "word") });
            seqs.extend(page.messages.iter().map(|found| found.message.seq.0));
            before = page.messages.last().map(|found| found.message.at);
            pages += 1;
            if !page.more {
                break;
            }
        }
        assert_eq!((seqs, pages), ((1..=7).rev().collect(), 3));
        let none = stand.ask(&Search { before: Some(At(0)), ..wants("bob", "word") });
        assert!(none.messages.is_empty() && !none.more);
        assert!(
            !stand.ask(&Search { before: Some(At(u64::MAX)), ..wants("bob", "word") }).messages.is_empty()
        );
    }

    #[test]
    fn before_a_time_is_when_it_was_sent_whenever_it_changed() {
        let mut stand = Stand::new(&said(&["word one", "word two"]));
        let room = RoomId(1);
        stand.apply(50, &[send("bob", 1, "3", "word three"), send("bob", 2, "4", "word elsewhere")]);
        let edit = |seq: u64, id: &str| {
            let (seq, text) = (Seq(seq), format!("word {seq} anew"));
            command("ann", id, Change::Edit { room, seq, text, version: None, keep: true })
        };
        stand.apply(60, &[edit(2, "e2"), send("ann", 1, "5", "word four")]);
        stand.follow(100);
        let found = |time_ms, before| {
            let search = Search { before_time: Some(time_ms), before, limit: 2, ..wants("bob", "word") };
            let page = stand.ask(&search);
            let places = page.messages.iter().map(|found| (found.message.room.0, found.message.seq.0));
            (places.collect::<Vec<_>>(), page.messages.last().map(|found| found.message.at), page.more)
        };
        assert_eq!(found(0, None), (vec![], None, false));
        let (old, _, more) = found(50, None);
        assert_eq!((old, more), (vec![(1, 2), (1, 1)], false));
        let (newer, last, more) = found(51, None);
        assert_eq!((newer, more), (vec![(1, 2), (2, 1)], true));
        let (further, _, more) = found(51, last);
        assert_eq!((further, more), (vec![(1, 3), (1, 1)], false));
        assert_eq!(found(u64::MAX, None).0, [(1, 4), (1, 2)]);
    }

    #[test]
    fn somebody_may_be_in_very_many_rooms() {
        let mut commands = setup(&["ann", "bob"], 1_500);
        commands.push(send("ann", 700, "1", "word"));
        let mut stand = Stand::new(&commands);
        assert_eq!(stand.seqs("bob", "word"), [1]);
    }

    /// A random chat, its index in pieces and opened anew now and then, against a look at every row.
    #[test]
    fn what_is_found_is_what_the_texts_hold() {
        let queries = [
            "hello",
            "\"hello 1\"",
            "gr*",
            "本語",
            "の",
            "👍",
            "two lines",
            "o*",
            "1",
            "köln 2",
            "ーシ",
            "zzz",
        ];
        let (mut found_some, mut found_old) = (0, 0);
        for seed in 0..3 {
            let mut stand = Stand::new(&[]);
            let mut dice = Dice::new(seed);
            let mut script = Script::new(seed);
            for time_ms in 1..=20 {
                let steps: Vec<_> = script.by_ref().take(dice.below(60) as usize).collect();
                let commands: Vec<_> = steps.into_iter().map(|step| step.command).collect();
                stand.apply(time_ms, &commands);
                if dice.percent(50) {
                    stand.follow(1 + dice.below(9) as usize);
                }
                if dice.percent(20) {
                    let (index, anew) = open(&stand.dir, &stand.chat);
                    assert_eq!((index.at(), anew), (stand.index.at(), None));
                    stand.index = index;
                }
            }
            stand.follow(7);
            let rows = stand.store.rows().unwrap();
            for (user, text) in
                ["ann", "bob", "cleo"].iter().flat_map(|user| queries.map(|text| (*user, text)))
            {
                let query = Query::read(text);
                let parts: Vec<_> = if text.contains('"') { vec![text] } else { text.split(' ').collect() };
                let alone: Vec<_> = parts.into_iter().map(Query::read).collect();
                let inside = |room| {
                    rows.iter().any(|row| {
                        matches!(row, Row::Member(row) if row.room == room && row.user == user && row.member)
                    })
                };
                let mut expected: Vec<_> = rows
                    .iter()
                    .filter_map(|row| match row {
                        Row::Message(row) if !row.message.deleted && inside(row.message.room) => {
                            let text = &row.message.text;
                            let said = |query: &Query| {
                                let names = row.message.files.iter().map(|file| &file.name);
                                [text].into_iter().chain(names).any(|text| !query.hits(text).is_empty())
                            };
                            let all = alone.iter().all(said);
                            all.then(|| (row.message.at, query.hits(text), row.message.time))
                        }
                        _ => None,
                    })
                    .collect();
                expected.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
                let ask = |before_time| {
                    let page = stand.ask(&Search { limit: 9_999, before_time, ..wants(user, text) });
                    let parts = |found: Found| (found.message.at, found.hit, found.message.time);
                    page.messages.into_iter().map(parts).collect::<Vec<_>>()
                };
                assert_eq!(ask(None), expected, "{user} looks for {text}, seed {seed}");
                found_some += expected.len();
                let newest = expected.iter().map(|(.., time)| *time).max().unwrap_or(1);
                expected.retain(|(.., time)| *time < newest);
                assert_eq!(
                    ask(Some(newest)),
                    expected,
                    "{user} looks for {text} before {newest}, seed {seed}"
                );
                found_old += expected.len();
            }
        }
        assert!(found_some > 15 && found_old > 5, "{found_some} {found_old}");
    }

    #[test]
    fn an_index_that_is_not_of_this_chat_is_made_anew() {
        let why = |stand: &Stand| open(&stand.dir, &stand.chat).1.unwrap_or_default();
        let spoil = |sql: &str| {
            let mut stand = Stand::new(&said(&["word"]));
            assert_eq!(stand.seqs("bob", "word"), [1]);
            stand.index.conn.execute_batch(sql).unwrap();
            let said = why(&stand);
            let (index, again) = open(&stand.dir, &stand.chat);
            assert_eq!(again, None);
            stand.index = index;
            assert_eq!(stand.seqs("bob", "word"), [1], "{said}");
            said
        };
        for (sql, said) in [
            ("PRAGMA user_version = 99", "it is of another version"),
            ("UPDATE state SET epoch = 'other'", "it is of another chat"),
            ("UPDATE state SET cluster = 'other'", "it is of another chat"),
            ("UPDATE state SET at = 9999", "it is ahead of chat.db"),
            ("DELETE FROM state", "it cannot be read: Query returned no rows"),
            ("DROP TABLE words", "it cannot be read: no such table: words"),
            ("DELETE FROM words_data", "it cannot be read: "),
        ] {
            assert!(spoil(sql).starts_with(said), "{sql}");
        }

        let mut stand = Stand::new(&said(&["word"]));
        stand.follow(9);
        let file = stand.dir.data().join(FILE);
        for bytes in [&b""[..], b"Dear diary, today I wrote nothing into a database. ".repeat(200).as_slice()]
        {
            std::fs::write(&file, bytes).unwrap();
            assert_ne!(why(&stand), "");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(why(&stand), "there is none yet");
    }
}
