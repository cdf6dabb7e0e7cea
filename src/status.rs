//! `status`: the cluster as one node sees it, for people or as JSON.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use chat_actors::messages::transfer::Transfer;
use serde::Deserialize as _;

use crate::node_client::{self, Answer, ClusterView, NodeView};
use crate::settings::Settings;
use crate::terminal;

/// How long a node has to answer; whoever asks must know within five seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(4000);

#[derive(Debug, clap::Args)]
pub struct StatusArguments {
    /// The settings of the node to ask
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// Print what the node answered, as one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks the node and prints what it says.
///
/// # Errors
/// When the settings are wrong or the node does not answer.
pub fn run(arguments: &StatusArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let seen = actix::System::new().block_on(ask(&settings))?;
    if arguments.json {
        terminal::say(&seen.json.to_string());
    } else {
        for line in lines(&seen.view) {
            terminal::say(&line);
        }
    }
    Ok(())
}

/// What a node answers on `GET /api/v1/cluster`: all of it, and what we know to read.
#[derive(Debug)]
pub struct Seen {
    pub json: serde_json::Value,
    pub view: ClusterView,
}

/// Asks the node of these settings how its cluster stands. Whatever else is asked of it comes after that, so that it is
/// known who answers.
///
/// # Errors
/// Says that it does not answer, what it says instead, or that this is another node or none.
pub async fn ask(settings: &Settings) -> anyhow::Result<Seen> {
    let (name, url) = (&settings.node.name, &settings.peer.url);
    let client = node_client::client();
    let secret = Some(settings.peer.secret.reveal());
    let answer = node_client::get(&client, &format!("{url}/api/v1/cluster"), secret, ANSWER_TIMEOUT).await;
    match answer {
        Ok(answer) if answer.status == 200 => seen(settings, &answer.body),
        Ok(answer) => match said(&answer) {
            Some(said) if !is_secret_refused(&answer) => bail!("{name} at {url}: {said}"),
            _ => bail!(refusal(settings, &answer)),
        },
        Err(silence) => bail!("{name} does not answer at {url} ({silence}): start it, or ask another node"),
    }
}

fn seen(settings: &Settings, body: &[u8]) -> anyhow::Result<Seen> {
    let (name, url) = (&settings.node.name, &settings.peer.url);
    let read = serde_json::from_slice(body).and_then(|json: serde_json::Value| {
        let view = ClusterView::deserialize(&json)?;
        Ok(Seen { json, view })
    });
    match read {
        Ok(seen) if seen.view.node == *name => Ok(seen),
        Ok(seen) => {
            bail!("{} answers at {url}, not {name}: look at peer.url in the settings", seen.view.node)
        }
        Err(error) => bail!(not_a_node(settings, &error)),
    }
}

/// What is said of an answer that no node gives.
pub fn not_a_node(settings: &Settings, error: &serde_json::Error) -> String {
    let (name, url) = (&settings.node.name, &settings.peer.url);
    format!("what answers for {name} at {url} is no node ({error}): look at peer.url in the settings")
}

/// What a node says that does not do what it is asked, as a sentence; who else may answer there says none.
pub fn refusal(settings: &Settings, answer: &Answer) -> String {
    let (name, url) = (&settings.node.name, &settings.peer.url);
    if is_secret_refused(answer) {
        return format!(
            "{name} at {url} refuses our secret: peer.secret must be the one that it was started with"
        );
    }
    said(answer).unwrap_or_else(|| {
        format!("{name} at {url} answers with status {}: is that a node's peer.url?", answer.status)
    })
}

fn is_secret_refused(answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403)
}

/// The sentence in a node's answer that says why not.
pub fn said(answer: &Answer) -> Option<String> {
    let value = serde_json::from_slice::<serde_json::Value>(&answer.body).ok()?;
    Some(value["error"]["message"].as_str()?.to_owned())
}

/// The cluster in a line, then a line a node.
fn lines(view: &ClusterView) -> Vec<String> {
    if let Some(waiting) = &view.waiting {
        return vec![format!("{} is not part of a chat yet: {waiting}", view.node)];
    }
    let unknown = || "unknown".to_string();
    let mut lines = vec![format!(
        "cluster {}, epoch {}, as {} sees it: {}, leader {}, term {}, at {}",
        view.cluster.clone().unwrap_or_else(unknown),
        view.epoch.clone().unwrap_or_else(unknown),
        view.node,
        if view.quorum { "majority" } else { "no majority" },
        view.leader.clone().unwrap_or_else(unknown),
        view.term,
        view.at,
    )];
    lines.extend(table(view.nodes.iter().map(row)));
    lines
}

/// The same, with where the other nodes reach each.
pub fn member_lines(view: &ClusterView) -> Vec<String> {
    let mut lines: Vec<String> = lines(view).into_iter().take(1).collect();
    lines.extend(table(view.nodes.iter().map(|node| {
        let [name, role, up, lag, ms, public, transfer] = row(node);
        [name, role, up, lag, ms, public, node.peer.clone(), transfer]
    })));
    lines
}

/// Rows with their columns one below the other.
fn table<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> Vec<String> {
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(node: &NodeView) -> [String; 7] {
    [
        node.name.clone(),
        node.role.clone(),
        if node.up { "up" } else { "down" }.into(),
        format!("lag {}", node.lag.map_or("?".into(), |lag| lag.to_string())),
        format!("{} ms", node.ms.map_or("?".into(), |ms| format!("{ms:.1}"))),
        node.public.clone(),
        node.transfer.map_or_else(String::new, |Transfer { at, of }| format!("receives state: {at} of {of}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        let json = r#"{"cluster":"c7","node":"node2","leader":"node1","term":4,"quorum":true,"applied":812,"at":800,
            "epoch":"e1","nodes":[
            {"name":"node1","public":"http://127.0.0.1:8101","role":"leader","up":true,"match":9,"lag":0,"ms":0.41},
            {"name":"node2","public":"http://127.0.0.1:8102","peer":"http://127.0.0.1:8202","role":"follower","up":true,"lag":512,
                "ms":null,"transfer":{"at":300,"of":812}},
            {"name":"node10","public":"http://127.0.0.1:8110","role":"learner","up":false,"match":null,"lag":null,"ms":null}]}"#;
        let view: ClusterView = serde_json::from_str(json).unwrap();
        assert_eq!(
            lines(&view),
            [
                "cluster c7, epoch e1, as node2 sees it: majority, leader node1, term 4, at 800",
                "node1   leader    up    lag 0    0.4 ms  http://127.0.0.1:8101",
                "node2   follower  up    lag 512  ? ms    http://127.0.0.1:8102  receives state: 300 of 812",
                "node10  learner   down  lag ?    ? ms    http://127.0.0.1:8110",
            ]
        );
        let listed = "node2   follower  up    lag 512  ? ms    http://127.0.0.1:8102  http://127.0.0.1:8202  receives state: 300 of 812";
        assert_eq!(member_lines(&view)[2], listed);
    }

    #[test]
    fn before_there_is_a_chat() {
        let json = r#"{"cluster":null,"node":"node2","leader":null,"term":0,"quorum":false,"applied":0,"at":0,
            "epoch":null,"nodes":[],"waiting":"waiting for node3"}"#;
        let view: ClusterView = serde_json::from_str(json).unwrap();
        let expected = ["node2 is not part of a chat yet: waiting for node3"];
        assert_eq!(
            (lines(&view).as_slice(), member_lines(&view).as_slice()),
            (&expected.map(String::from)[..], &expected.map(String::from)[..])
        );
    }

    #[test]
    fn without_a_majority() {
        let json = r#"{"node":"node2","leader":null,"term":0,"quorum":false,"at":0,"nodes":[]}"#;
        let view: ClusterView = serde_json::from_str(json).unwrap();
        assert_eq!(
            lines(&view),
            ["cluster unknown, epoch unknown, as node2 sees it: no majority, leader unknown, term 0, at 0"]
        );
    }
}
