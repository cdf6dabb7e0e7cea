//! What a disk holds: as it looks now, and as it would look after a power cut.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};

use fuser::{Errno, FileType};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

pub const ROOT: u64 = 1;
/// Writes reach a disk in pieces of this size, each as a whole or not at all.
const SECTOR: usize = 512;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Keep {
    Nothing,
    /// Some of the sectors, in any combination, and the first so many changes of directories.
    Some {
        seed: u64,
    },
}

/// Files and directories, by number.
pub struct Image {
    nodes: HashMap<u64, Inode>,
    last: u64,
    /// Changes of directories that were not synced, oldest first; each happens as a whole or not at all.
    renames: Vec<Vec<Entry>>,
}

enum Inode {
    File(Contents),
    Directory(Directory),
}

#[derive(Default)]
struct Contents {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// What leads from the one to the other, oldest first.
    unsynced: Vec<Change>,
    /// Memory that processes share, and no data: the kernel maps it, so it must cache it.
    is_shared: bool,
}

#[derive(Default)]
struct Directory {
    now: BTreeMap<OsString, u64>,
    synced: BTreeMap<OsString, u64>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// A name that came to mean something else.
struct Entry {
    directory: u64,
    name: OsString,
    inode: Option<u64>,
}

pub type Answer<T> = Result<T, Errno>;

impl Image {
    pub fn new() -> Self {
        let root = Inode::Directory(Directory::default());
        Self { nodes: HashMap::from([(ROOT, root)]), last: ROOT, renames: Vec::new() }
    }

    pub fn kind(&self, inode: u64) -> Answer<(FileType, u64)> {
        match self.nodes.get(&inode) {
            Some(Inode::File(contents)) => Ok((FileType::RegularFile, contents.now.len() as u64)),
            Some(Inode::Directory(_)) => Ok((FileType::Directory, 0)),
            None => Err(Errno::ENOENT),
        }
    }

    pub fn lookup(&self, directory: u64, name: &OsStr) -> Answer<u64> {
        self.directory(directory)?.now.get(name).copied().ok_or(Errno::ENOENT)
    }

    pub fn list(&self, directory: u64) -> Answer<Vec<(u64, FileType, OsString)>> {
        let entries = &self.directory(directory)?.now;
        entries.iter().map(|(name, &inode)| Ok((inode, self.kind(inode)?.0, name.clone()))).collect()
    }

    pub fn create(&mut self, directory: u64, name: &OsStr, kind: FileType) -> Answer<u64> {
        if self.lookup(directory, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.last += 1;
        let inode = match kind {
            FileType::Directory => Inode::Directory(Directory::default()),
            _ => {
                let is_shared = name.as_encoded_bytes().ends_with(b"-shm");
                Inode::File(Contents { is_shared, ..Contents::default() })
            }
        };
        self.nodes.insert(self.last, inode);
        self.set_entries(vec![Entry { directory, name: name.to_owned(), inode: Some(self.last) }])?;
        Ok(self.last)
    }

    pub fn remove(&mut self, directory: u64, name: &OsStr) -> Answer<()> {
        let inode = self.lookup(directory, name)?;
        if let Some(Inode::Directory(of)) = self.nodes.get(&inode)
            && !of.now.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        // The inode stays: somebody may have it open, and a power cut may bring its name back.
        self.set_entries(vec![Entry { directory, name: name.to_owned(), inode: None }])
    }

    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Answer<()> {
        let inode = self.lookup(from.0, from.1)?;
        let entry =
            |(directory, name): (u64, &OsStr), inode| Entry { directory, name: name.to_owned(), inode };
        self.set_entries(vec![entry(from, None), entry(to, Some(inode))])
    }

    pub fn read(&self, inode: u64, offset: u64, size: u32) -> Answer<&[u8]> {
        let now = match self.nodes.get(&inode) {
            Some(Inode::File(contents)) => &contents.now,
            _ => return Err(Errno::ENOENT),
        };
        let start = place(offset).min(now.len());
        Ok(&now[start..(start + size as usize).min(now.len())])
    }

    pub fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> Answer<()> {
        self.change(inode, Change::Write { offset: place(offset), bytes: bytes.to_vec() })
    }

    pub fn resize(&mut self, inode: u64, size: u64) -> Answer<()> {
        self.change(inode, Change::Resize(place(size)))
    }

    /// What was written to the file stays from now on; for its name its directory must be synced.
    pub fn sync_file(&mut self, inode: u64) -> Answer<()> {
        let contents = self.contents(inode)?;
        for change in std::mem::take(&mut contents.unsynced) {
            change.apply(&mut contents.synced);
        }
        Ok(())
    }

    /// A sync failed: what it should have written is read until the power fails, and no later sync writes
    /// it either. That is what the kernel does with pages that it could not write.
    pub fn forget_unsynced(&mut self, inode: u64) -> Answer<()> {
        self.contents(inode)?.unsynced.clear();
        Ok(())
    }

    pub fn sync_directory(&mut self, inode: u64) -> Answer<()> {
        let Some(Inode::Directory(directory)) = self.nodes.get_mut(&inode) else { return Err(Errno::ENOENT) };
        directory.synced.clone_from(&directory.now);
        for entries in &mut self.renames {
            entries.retain(|entry| entry.directory != inode);
        }
        self.renames.retain(|entries| !entries.is_empty());
        Ok(())
    }

    /// Bytes in files that have a name.
    pub fn used(&self) -> u64 {
        self.reachable().iter().filter_map(|inode| self.kind(*inode).ok()).map(|(_, size)| size).sum()
    }

    /// Whether the kernel must cache the file, since SQLite maps it.
    pub fn is_shared(&self, inode: u64) -> bool {
        matches!(self.nodes.get(&inode), Some(Inode::File(contents)) if contents.is_shared)
    }

    /// Inverts a byte of the file of that path, for good.
    pub fn flip(&mut self, path: &str, offset: usize) -> Answer<()> {
        let inode = path.split('/').try_fold(ROOT, |at, name| self.lookup(at, OsStr::new(name)))?;
        let contents = self.contents(inode)?;
        *contents.now.get_mut(offset).ok_or(Errno::EINVAL)? ^= 0xFF;
        if let Some(byte) = contents.synced.get_mut(offset) {
            *byte ^= 0xFF;
        }
        Ok(())
    }

    /// Forgets what was not synced, but for what `keep` says.
    pub fn power_cut(&mut self, keep: Keep) {
        let mut dice = match keep {
            Keep::Nothing => None,
            Keep::Some { seed } => Some(StdRng::seed_from_u64(seed)),
        };
        let renames = std::mem::take(&mut self.renames);
        let kept = dice.as_mut().map_or(0, |dice| dice.random_range(0..=renames.len()));
        for Entry { directory, name, inode } in renames.into_iter().take(kept).flatten() {
            if let Some(Inode::Directory(directory)) = self.nodes.get_mut(&directory) {
                set(&mut directory.synced, name, inode);
            }
        }
        let mut inodes: Vec<u64> = self.nodes.keys().copied().collect();
        inodes.sort_unstable();
        for inode in inodes {
            match self.nodes.get_mut(&inode).expect("it was listed") {
                Inode::Directory(directory) => directory.now.clone_from(&directory.synced),
                Inode::File(contents) => contents.power_cut(dice.as_mut()),
            }
        }
        let reachable = self.reachable();
        self.nodes.retain(|inode, _| reachable.contains(inode));
    }

    fn reachable(&self) -> HashSet<u64> {
        let (mut found, mut to_visit) = (HashSet::from([ROOT]), vec![ROOT]);
        while let Some(inode) = to_visit.pop() {
            if let Some(Inode::Directory(directory)) = self.nodes.get(&inode) {
                to_visit.extend(directory.now.values().copied().filter(|&entry| found.insert(entry)));
            }
        }
        found
    }

    fn directory(&self, inode: u64) -> Answer<&Directory> {
        match self.nodes.get(&inode) {
            Some(Inode::Directory(directory)) => Ok(directory),
            Some(Inode::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn contents(&mut self, inode: u64) -> Answer<&mut Contents> {
        match self.nodes.get_mut(&inode) {
            Some(Inode::File(contents)) => Ok(contents),
            Some(Inode::Directory(_)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn set_entries(&mut self, entries: Vec<Entry>) -> Answer<()> {
        for Entry { directory, name, inode } in &entries {
            match self.nodes.get_mut(directory) {
                Some(Inode::Directory(of)) => set(&mut of.now, name.clone(), *inode),
                _ => return Err(Errno::ENOENT),
            }
        }
        self.renames.push(entries);
        Ok(())
    }

    fn change(&mut self, inode: u64, change: Change) -> Answer<()> {
        let contents = self.contents(inode)?;
        change.apply(&mut contents.now);
        contents.unsynced.push(change);
        Ok(())
    }
}

impl Contents {
    fn power_cut(&mut self, dice: Option<&mut StdRng>) {
        let unsynced = std::mem::take(&mut self.unsynced);
        if let Some(dice) = dice {
            for change in unsynced.into_iter().flat_map(Change::sectors).filter(|_| dice.random()) {
                change.apply(&mut self.synced);
            }
        }
        self.now.clone_from(&self.synced);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Resize(size) => to.resize(*size, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// The parts that a power cut keeps or not.
    fn sectors(self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else { return vec![self] };
        let mut parts = Vec::new();
        let (mut rest, mut offset) = (&bytes[..], offset);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at((SECTOR - offset % SECTOR).min(rest.len()));
            parts.push(Self::Write { offset, bytes: part.to_vec() });
            (rest, offset) = (behind, offset + part.len());
        }
        parts
    }
}

fn set(entries: &mut BTreeMap<OsString, u64>, name: OsString, inode: Option<u64>) {
    match inode {
        Some(inode) => entries.insert(name, inode),
        None => entries.remove(&name),
    };
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("this machine has as many bits")
}
