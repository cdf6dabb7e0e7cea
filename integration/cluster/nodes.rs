//! A cluster of processes on this machine.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::folder::{self, Folder};
use super::node::Node;
use super::program::{self, Run};
use super::wait::{LONG_PATIENCE, PATIENCE, poll};

/// Its nodes are called node1, node2, … and stand at the places 0, 1, …
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub folder: Folder,
}

impl Cluster {
    /// So many nodes as they are by default, ready.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, "").await
    }

    /// So many nodes with more settings, ready.
    pub async fn start_with(count: usize, more: &str) -> Self {
        let mut cluster = Self::prepare(count, more);
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_until_ready().await;
        cluster
    }

    /// Settings and folders, nothing started.
    pub fn prepare(count: usize, more: &str) -> Self {
        let folder = Folder::new();
        let nodes: Vec<Node> =
            (1..=count).map(|number| Node::new(folder.path(), &format!("node{number}"))).collect();
        let cluster = Self { nodes, folder };
        cluster.write_settings(more);
        cluster
    }

    /// Writes the settings of all nodes anew.
    pub fn write_settings(&self, more: &str) {
        let members: Vec<String> = self.nodes.iter().map(Node::member).collect();
        let secret = self.secret();
        for node in &self.nodes {
            node.write_settings(&members, &secret, more);
        }
    }

    pub fn secret(&self) -> String {
        format!("of {}", self.folder.path().display())
    }

    /// One more node, that will join by way of these places; not started.
    pub fn prepare_another(&mut self, by: &[usize], more: &str) -> usize {
        let node = Node::new(self.folder.path(), &format!("node{}", self.nodes.len() + 1));
        self.add(node, by, more)
    }

    /// The same with a node that is there already; its place.
    pub fn add(&mut self, node: Node, by: &[usize], more: &str) -> usize {
        let others: Vec<&Node> = by.iter().map(|place| &self.nodes[*place]).collect();
        node.write_join_settings(&others, &self.secret(), more);
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Runs a command of the program on the settings of the node at `place`.
    pub async fn command(&self, place: usize, words: &[&str]) -> Run {
        let settings = self.nodes[place].settings_file();
        let mut arguments = vec![words[0], settings.to_str().unwrap()];
        arguments.extend(&words[1..]);
        program::run(self.folder.path(), &arguments, &[]).await
    }

    /// The same for a change of the cluster, again and again until it is done: a node that does not get to answer in
    /// time is taken for one that is down. Returns the run that did it, or found it done.
    pub async fn until_done(&self, place: usize, words: &[&str]) -> Run {
        let done = async || {
            let run = self.command(place, words).await;
            run.assert_answered();
            (run.code == Some(0)).then_some(run)
        };
        self.wait_at_most(LONG_PATIENCE, &words.join(" "), done).await
    }

    /// The role of a name, as the node at `place` sees it; `None` when it is not listed, or not answered.
    pub async fn role(&self, place: usize, name: &str) -> Option<String> {
        let status = self.nodes[place].status().await?;
        let nodes = status["nodes"].as_array()?.clone();
        let found = nodes.iter().find(|node| node["name"] == name)?;
        found["role"].as_str().map(str::to_owned)
    }

    /// Waits until so many nodes have a vote, in the eyes of the node at `place`. Learners get one when nothing has
    /// disturbed them for ten seconds.
    pub async fn wait_for_voters(&self, place: usize, count: usize) {
        let what = format!("{count} voters");
        self.wait_at_most(LONG_PATIENCE, &what, async || {
            let status = self.nodes[place].status().await?;
            let nodes = status["nodes"].as_array()?.clone();
            let voters = nodes.iter().filter(|node| node["role"] != "learner").count();
            (voters == count && nodes.iter().all(|node| node["up"] == true)).then_some(())
        })
        .await;
    }

    /// Starts nodes that the others count no more, and waits until all have ended and served nobody. A member that does
    /// not get to tell them within a second is taken for one that is gone: then they start again from the same disks.
    pub async fn are_turned_away(&mut self, places: &[usize]) {
        let copy_of = |node: &Node| node.data_dir().with_extension("before");
        for place in places {
            let node = &self.nodes[*place];
            folder::copy(&node.data_dir(), &copy_of(node));
        }
        for _ in 0..5 {
            let mut served_nobody = true;
            let said: Vec<String> = places.iter().map(|place| self.nodes[*place].output()).collect();
            for place in places {
                self.nodes[*place].start();
            }
            for (place, said) in places.iter().zip(&said) {
                let ended = self.nodes[*place].ended().await;
                let node = &self.nodes[*place];
                if node.output() == *said {
                    assert_eq!(ended.code, Some(1), "{}", node.log_tail());
                } else {
                    served_nobody = false;
                }
            }
            if served_nobody {
                return;
            }
            for place in places {
                let node = &self.nodes[*place];
                node.wipe();
                folder::copy(&copy_of(node), &node.data_dir());
            }
        }
        panic!("they let people in each time\n{}", self.log_tails());
    }

    /// Looks until there is something to see, else fails and shows what each node said last.
    pub async fn wait_for<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        self.wait_at_most(PATIENCE, what, look).await
    }

    pub async fn wait_at_most<T>(
        &self,
        limit: Duration,
        what: &str,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        match poll(limit, look).await {
            Some(seen) => seen,
            None => panic!("waited {} s for {what}\n{}", limit.as_secs_f32(), self.log_tails()),
        }
    }

    pub fn log_tails(&self) -> String {
        self.nodes.iter().map(Node::log_tail).collect()
    }

    /// Waits until every node that runs calls itself ready: some may have to fetch all there is, from others that have to
    /// count it first.
    pub async fn wait_until_ready(&mut self) {
        for place in 0..self.nodes.len() {
            if self.nodes[place].is_up() {
                let node = &self.nodes[place];
                let what = format!("{} to be ready", node.name);
                self.wait_at_most(LONG_PATIENCE, &what, async || node.is_ready().await.then_some(())).await;
            }
        }
    }

    /// The place of the node that a majority of the running ones calls the leader.
    pub async fn leader(&mut self) -> usize {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|place| self.nodes[*place].is_up()).collect();
        let majority = self.nodes.len() / 2 + 1;
        self.wait_for("a leader", async || {
            let mut votes = vec![0; self.nodes.len()];
            for place in &up {
                let status = self.nodes[*place].status().await?;
                let leader = self.nodes.iter().position(|node| status["leader"] == node.name.as_str());
                votes[leader?] += 1;
            }
            votes.iter().position(|votes| *votes >= majority.min(up.len()))
        })
        .await
    }

    /// The place of a node that does not lead.
    pub async fn follower(&mut self) -> usize {
        (self.leader().await + 1) % self.nodes.len()
    }

    /// Waits until the running nodes have applied equally far, and returns how far.
    pub async fn wait_until_equal(&mut self) -> u64 {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|place| self.nodes[*place].is_up()).collect();
        self.wait_for("all nodes to have applied as much", async || {
            let mut all = Vec::new();
            for place in &up {
                let status: Value = self.nodes[*place].status().await?;
                all.push((status["applied"].as_u64()?, status["at"].as_u64()?));
            }
            all.iter().all(|one| *one == all[0]).then_some(all[0].0)
        })
        .await
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// A connection to the node at `place`, nobody on it yet.
    pub async fn client(&self, place: usize) -> Client {
        Client::open(&self.nodes[place].url()).await
    }

    /// A new account, on a connection to the node at `place`.
    pub async fn register(&self, place: usize, name: &str) -> Client {
        let mut client = self.client(place).await;
        client.register(name).await;
        client
    }

    /// Ann and Bob, on the nodes of these places, both in the public room `general`.
    pub async fn ann_and_bob(&self, places: [usize; 2]) -> (Client, Client, u64) {
        let mut ann = self.register(places[0], "ann").await;
        let mut bob = self.register(places[1], "bob").await;
        let room = ann.create_room("general", "public").await;
        bob.ok("join", json!({"room": room})).await;
        (ann, bob, room)
    }
}
