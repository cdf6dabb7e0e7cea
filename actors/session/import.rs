//! Imports: what operators bring from elsewhere.

use std::time::{Duration, Instant};

use super::accounts::draw_token;
use super::executor::{Asked, Executor, not_done, within};
use super::reply::Problem;
use crate::bus::ask;
use crate::chat::command::{Change, Command};
use crate::chat::outcome::{Code, Done, Outcome};
use crate::chat::portable::{Imported, Landed};
use crate::ids::FileId;
use crate::messages::consensus::NotDone;
use crate::messages::files::Secure;

/// The most items that are brought at once: they are applied at once.
pub const ITEMS_MAX: usize = 256;
/// How long an operator waits for all members to be known to read a change: they say so soon after a start.
const LEVEL_WAIT: Duration = Duration::from_secs(2);
const LEVEL_PAUSE: Duration = Duration::from_millis(50);

impl Executor {
    /// Brings these items, in their order, once a majority has the bytes of their files.
    ///
    /// # Errors
    /// What the contract says of a change; `bad_request` for an item of a wrong form, and then none was brought.
    pub async fn import(&self, items: Vec<Imported>, into_existing: bool) -> Result<Vec<Landed>, Problem> {
        if items.len() > ITEMS_MAX {
            let why = format!("{} items, at most {ITEMS_MAX} are taken at once", items.len());
            return Err(Problem::new(Code::TooLarge, why));
        }
        for (place, item) in items.iter().enumerate() {
            item.check(self.limits().message_bytes).map_err(|refusal| {
                Problem::new(Code::BadRequest, format!("item {place}: {}", refusal.message))
            })?;
        }
        let mut files: Vec<FileId> = items.iter().flat_map(files_of).collect();
        files.sort();
        files.dedup();
        if !files.is_empty() {
            let secured = ask(&self.ports.files.secure, |reply| Secure { files, reply }).await?;
            secured.map_err(|why| Problem::new(Code::Unavailable, why.to_string()))?;
        }
        let (_, drawn) = draw_token()?;
        let id = format!("import-{}", hex::encode(&drawn[..16]));
        let change = Change::Import { items, into_existing };
        let command = Command { user: String::new(), id, change };
        match within(self.propose_when_read(command)).await?.done {
            Done::Imported(landed) => Ok(landed),
            other => {
                tracing::error!(?other, "an import was answered with something else");
                Err(Problem::internal())
            }
        }
    }

    /// Proposes what a member that has just started may not be known to read yet.
    pub(super) async fn propose_when_read(&self, command: Command) -> Result<Outcome, Problem> {
        let until = Instant::now() + LEVEL_WAIT;
        loop {
            let asked: Asked = self.propose(command.clone())?;
            match asked.await {
                Ok(Err(NotDone::TooNew { .. })) if Instant::now() < until => {
                    tokio::time::sleep(LEVEL_PAUSE).await;
                }
                Ok(answer) => return answer.map_err(not_done),
                Err(_) => return Err(Problem::timeout()),
            }
        }
    }
}

fn files_of(item: &Imported) -> impl Iterator<Item = FileId> {
    let files = match item {
        Imported::Message(item) if !item.message.deleted => item.message.files.as_slice(),
        _ => &[],
    };
    files.iter().map(|file| file.file)
}
