//! Files in requests: sending them, linking to them, and who may fetch them.

use std::time::{Duration, Instant};

use super::executor::{Executor, Who, outcome, unix_ms};
use super::reply::{Answer, Problem, Reply};
use super::request::SendFiles;
use crate::bus::{Port, ask};
use crate::chat::command::{Attached, Change, Command};
use crate::chat::outcome::Code;
use crate::files::links::{Claim, GOOD_FOR_MS, LinkKey};
use crate::files::names;
use crate::ids::FileId;
use crate::messages::files::{Find, Held, NotSecured, Secure};
use crate::messages::reading::{DoneBefore, FilesSeen, SentSince};

/// Bytes that a majority holds are relied upon for so long: far less than they are held for.
const RELIED_UPON: Duration = Duration::from_secs(60);

/// What requests about files need.
#[derive(Clone)]
pub struct FilePorts {
    pub find: Port<Find>,
    pub secure: Port<Secure>,
    pub files_seen: Port<FilesSeen>,
    pub sent_since: Port<SentSince>,
    pub done_before: Port<DoneBefore>,
    pub links: LinkKey,
}

impl Executor {
    /// Sends a message with files once a majority has their bytes on the disk.
    pub(super) async fn send_files(&self, who: Who, id: String, asked: SendFiles) -> Reply {
        self.count_message(&who.user)?;
        let SendFiles { room, text, reply_to, files } = asked;
        let ids: Vec<FileId> = files.iter().map(|(file, _)| *file).collect();
        let began = Instant::now();
        let found = match self.ready(&who.user, &ids).await {
            Ok(_) if began.elapsed() > RELIED_UPON => {
                return Err(Problem::new(Code::Unavailable, NotSecured::NotYet.to_string()));
            }
            Ok(found) => found,
            Err(problem) => match self.was_done(&who.user, &id).await {
                // What was done before is told again, whatever has become of its files; that it was something
                // else is for apply to say.
                Ok(true) => vec![Held::default(); ids.len()],
                Ok(false) | Err(_) => return Err(problem),
            },
        };
        let attached = files.into_iter().zip(found).map(|((file, name), held)| Attached {
            file,
            kind: names::kind_of(&name).to_owned(),
            name,
            bytes: held.bytes.unwrap_or_default(),
            uploaded: held.uploaded.is_some() && held.bytes.is_some(),
        });
        let change = Change::SendFiles { room, text, reply_to, files: attached.collect() };
        Ok(outcome(self.propose(Command { user: who.user, id, change })?).await?.into())
    }

    /// A majority holds these files, and each is one that the user uploaded or may see.
    async fn ready(&self, user: &str, files: &[FileId]) -> Result<Vec<Held>, Problem> {
        let seen = self.files_seen(user, files.to_vec()).await?;
        let find = async |seen| self.find(user, files, seen, true, false).await;
        // What one may see by now need not be found where it was uploaded: that node may be silent.
        let (found, seen) = tokio::select! {
            found = find(seen.clone()) => (found?, seen),
            Some(seen) = self.all_seen_by_now(user, files, &seen) => (find(seen.clone()).await?, seen),
        };
        let mut strange = strange(files, &found, &seen);
        if strange.is_some() {
            // It may have been sent elsewhere a moment ago.
            self.barrier().await?;
            strange = self::strange(files, &found, &self.files_seen(user, files.to_vec()).await?);
        }
        if let Some(file) = strange {
            let message =
                format!("file {file} was not uploaded by you to a node that can be reached: upload it again");
            return Err(Problem::new(Code::NotFound, message));
        }
        let secure = |reply| Secure { files: files.to_vec(), reply };
        let secured = ask(&self.ports.files.secure, secure).await?;
        secured.map_err(|why| Problem::new(Code::Unavailable, why.to_string()))?;
        Ok(found)
    }

    /// When not all of these files could be seen before, and all can once this node has applied what was acknowledged.
    async fn all_seen_by_now(&self, user: &str, files: &[FileId], before: &[bool]) -> Option<Vec<bool>> {
        if !before.contains(&false) {
            return None;
        }
        self.barrier().await.ok()?;
        let seen = self.files_seen(user, files.to_vec()).await.ok()?;
        (!seen.contains(&false)).then_some(seen)
    }

    async fn was_done(&self, user: &str, id: &str) -> Result<bool, Problem> {
        let before = async || {
            let ask = |reply| DoneBefore { user: user.to_owned(), id: id.to_owned(), reply };
            self.read(&self.ports.files.done_before, ask).await
        };
        if before().await? {
            return Ok(true);
        }
        self.barrier().await?;
        before().await
    }

    async fn files_seen(&self, user: &str, files: Vec<FileId>) -> Result<Vec<bool>, Problem> {
        let ask = |reply| FilesSeen { user: user.to_owned(), files, reply };
        self.read(&self.ports.files.files_seen, ask).await
    }

    /// Whether somebody may fetch a file: as one of a message that they may see, or as their own upload that
    /// they have not sent yet.
    ///
    /// # Errors
    /// `not_found` when not; `unavailable` when only a majority could tell.
    pub async fn may_fetch(&self, user: &str, file: FileId) -> Result<(), Problem> {
        let seen = async || Ok::<_, Problem>(self.files_seen(user, vec![file]).await?.contains(&true));
        if seen().await? || self.is_own_upload(user, file).await? {
            return Ok(());
        }
        // Its message may have come to another node a moment ago.
        self.barrier().await?;
        if seen().await? { Ok(()) } else { Err(no_such_file()) }
    }

    async fn is_own_upload(&self, user: &str, file: FileId) -> Result<bool, Problem> {
        // The record here may be one that was sent since, and another node have a later one.
        for everywhere in [false, true] {
            let found = self.find(user, &[file], vec![false], false, everywhere).await?;
            let Some(at) = found.first().and_then(|held| held.uploaded) else { return Ok(false) };
            // Once it was sent, the message says who may see it.
            let ask = |reply| SentSince { user: user.to_owned(), file, at, reply };
            if !self.read(&self.ports.files.sent_since, ask).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn find(
        &self,
        user: &str,
        files: &[FileId],
        seen: Vec<bool>,
        hold: bool,
        everywhere: bool,
    ) -> Result<Vec<Held>, Problem> {
        let (user, files) = (user.to_owned(), files.to_vec());
        Ok(ask(&self.ports.files.find, |reply| Find { user, files, seen, hold, everywhere, reply }).await?)
    }

    pub(super) async fn file_link(&self, who: Who, file: FileId, name: &str) -> Reply {
        self.may_fetch(&who.user, file).await?;
        let until = unix_ms().saturating_add(GOOD_FOR_MS);
        let path = self.ports.files.links.link(file, name, &who.user, until);
        let directory = self.directory.borrow();
        let own = directory.nodes.iter().find(|listed| listed.node.name == directory.node);
        let public = own.map_or("", |listed| listed.node.public.trim_end_matches('/'));
        Ok(Answer::FileLink { url: format!("{public}{path}"), until })
    }

    /// For whom a link was made that is still good.
    ///
    /// # Errors
    /// `unauthorized` when it is not.
    pub async fn follow(&self, file: FileId, name: &str, claim: Claim) -> Result<String, Problem> {
        let is_good = self.ports.files.links.is_good(file, name, &claim, unix_ms());
        // The account may have been disabled meanwhile.
        let account = if is_good { self.account(&claim.by).await? } else { None };
        match account.filter(|row| !row.deleted && !row.disabled) {
            Some(_) => Ok(claim.by),
            None => Err(Problem::new(
                Code::Unauthorized,
                "this link has ended, or was never one: ask for another",
            )),
        }
    }
}

/// The first of these files that the user neither uploaded nor may see.
fn strange(files: &[FileId], found: &[Held], seen: &[bool]) -> Option<FileId> {
    let known = found.iter().zip(seen).map(|(held, seen)| held.uploaded.is_some() || *seen);
    files.iter().zip(known).find(|(_, known)| !known).map(|(file, _)| *file)
}

fn no_such_file() -> Problem {
    Problem::new(Code::NotFound, "no such file, or none that you may see")
}
