//! The rows of each node, compared.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::nodes::Cluster;

/// Tables that the contract names and that are the same on every node.
const REPLICATED: [&str; 5] = ["users", "rooms", "members", "messages", "sessions"];

/// Rows of each replicated table, sorted, as text.
pub type Tables = BTreeMap<String, Vec<String>>;

/// Opens a node's file as anybody may, while the node runs or after it.
pub fn open(data_dir: &Path) -> Connection {
    let file = data_dir.join("chat.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(&file, flags).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Reads every table whose rows have an `at`.
pub fn read(data_dir: &Path) -> Tables {
    let connection = open(data_dir);
    let names: Vec<String> = texts(&connection, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    let mut tables = Tables::new();
    for name in names {
        let columns = texts(&connection, &format!("SELECT name FROM pragma_table_info('{name}')"));
        let is_named = REPLICATED.contains(&name.as_str());
        if is_named || (columns.iter().any(|column| column == "at") && !name.starts_with("raft_")) {
            tables.insert(name.clone(), rows(&connection, &name));
        }
    }
    for name in REPLICATED {
        assert!(tables.contains_key(name), "no table {name}: {:?}", tables.keys());
    }
    tables
}

/// One column of text.
pub fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let texts = statement.query_map([], |row| row.get(0)).unwrap();
    texts.map(Result::unwrap).collect()
}

fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let cells = columns.iter().enumerate().map(|(place, column)| {
            let value: Value = row.get(place)?;
            Ok(format!("{column}={}", shown(&value)))
        });
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
    };
    let mut rows: Vec<String> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

fn shown(value: &Value) -> String {
    match value {
        Value::Blob(bytes) => hex::encode(bytes),
        other => format!("{other:?}"),
    }
}

impl Cluster {
    /// Waits until the running nodes are equally far and checks that their tables are the same, which it returns.
    pub async fn equal_tables(&mut self) -> Tables {
        self.wait_until_equal().await;
        let mut first: Option<Tables> = None;
        for place in 0..self.nodes.len() {
            if !self.nodes[place].is_up() {
                continue;
            }
            let node = &self.nodes[place];
            let tables = read(&node.data_dir());
            let Some(first) = &first else {
                first = Some(tables);
                continue;
            };
            assert_eq!(first.keys().collect::<Vec<_>>(), tables.keys().collect::<Vec<_>>());
            for (name, rows) in &tables {
                assert_same(name, &node.name, &first[name], rows);
            }
        }
        first.expect("a node is up")
    }
}

fn assert_same(table: &str, node: &str, first: &[String], rows: &[String]) {
    let differs = (0..first.len().max(rows.len())).find(|place| first.get(*place) != rows.get(*place));
    if let Some(place) = differs {
        let (one, other) = (first.get(place), rows.get(place));
        panic!("{table} of {node} differs at row {place}:\n {one:?}\n {other:?}");
    }
}
