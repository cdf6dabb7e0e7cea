//! A cluster whose nodes have a disk each, with faults to order.

use std::ops::{Deref, DerefMut};

use nix::sys::signal::Signal;

use crate::cluster::Cluster;
use crate::cluster::folder::Folder;

use super::{Disk, Keep};

/// Ends in this order: the nodes, their disks, the folder these are mounted in.
pub struct OnDisks {
    cluster: Cluster,
    pub disks: Vec<Disk>,
    _mounts: Folder,
}

impl OnDisks {
    /// So many nodes on disks of their own, ready. `None`, said on standard output: this machine does not let us.
    pub async fn start(count: usize, more: &str) -> Option<Self> {
        let mut on_disks = Self::give(Cluster::prepare(count, more), more);
        if on_disks.disks.is_empty() {
            return None;
        }
        on_disks.start_all().await;
        Some(on_disks)
    }

    /// Gives each of the nodes, not started yet, a disk; no disks at all, said on standard output, where this machine
    /// does not let us.
    pub fn give(mut cluster: Cluster, more: &str) -> Self {
        let mounts = Folder::new();
        let mount = |place: usize| Disk::mount(&mounts.path().join(format!("disk{place}")));
        let disks: Vec<_> = (1..=cluster.nodes.len()).map_while(mount).collect();
        if disks.len() < cluster.nodes.len() {
            return Self { cluster, disks: Vec::new(), _mounts: mounts };
        }
        for (node, disk) in cluster.nodes.iter_mut().zip(&disks) {
            // Not the disk's own root: that the directory is made, and stays, is part of it.
            node.keep_data_in(disk.path().join("data"));
        }
        cluster.write_settings(more);
        Self { cluster, disks, _mounts: mounts }
    }

    /// Starts all nodes and waits until they are ready.
    pub async fn start_all(&mut self) {
        for node in &mut self.cluster.nodes {
            node.start();
        }
        self.cluster.wait_until_ready().await;
    }

    /// The power fails everywhere at once; when it is back, the disks hold what was synced and what
    /// `keep` says, each disk by a seed of its own. The nodes are down then.
    pub fn power_cut(&mut self, keep: Keep) {
        for disk in &self.disks {
            disk.go_dark();
        }
        for node in &mut self.cluster.nodes {
            if node.is_up() {
                node.signal(Signal::SIGKILL);
            }
        }
        for (number, disk) in (0..).zip(&self.disks) {
            disk.cut_power(match keep {
                Keep::Nothing => Keep::Nothing,
                Keep::Some { seed } => Keep::Some { seed: seed.wrapping_mul(31).wrapping_add(number) },
            });
        }
        for (node, disk) in self.cluster.nodes.iter_mut().zip(&self.disks) {
            node.kill();
            disk.plug_in();
        }
    }

    /// The power of one node fails.
    pub fn power_cut_of(&mut self, place: usize, keep: Keep) {
        self.disks[place].go_dark();
        self.cluster.nodes[place].signal(Signal::SIGKILL);
        self.replug(place, keep);
    }

    /// Cuts the power of one node whose process has ended, or ends now.
    pub fn replug(&mut self, place: usize, keep: Keep) {
        self.disks[place].cut_power(keep);
        self.cluster.nodes[place].kill();
        self.disks[place].plug_in();
    }
}

impl Drop for OnDisks {
    fn drop(&mut self) {
        // A node that waits for its disk could not be killed.
        for disk in &mut self.disks {
            disk.destroy();
        }
    }
}

impl Deref for OnDisks {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for OnDisks {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}
