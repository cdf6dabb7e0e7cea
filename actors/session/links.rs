//! Sessions as their user sees them, and the links that let somebody in who has no account or password.
//!
//! A link's token is drawn here and told once; its hash goes into the core.

use std::sync::Arc;

use super::accounts::{draw_token, hash_of};
use super::caller::Caller;
use super::executor::{Executor, Started, Who, outcome, within};
use super::reply::{Answer, ListedInvite, ListedSession, Problem, Reply};
use crate::chat::command::{Change, Command, TokenHash, shown};
use crate::chat::outcome::{Code, Done, Outcome};
use crate::chat::tables::{LinkKind, LinkRow, Registration};
use crate::messages::reading::{Invites, LinkOf, RegistrationSet, Sessions};

/// What became of an operator's wish for an admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appointed {
    Admin,
    /// There is no such account: whoever opens this creates it.
    ByLink(String),
}

impl Executor {
    /// Makes an account an admin, or a link that creates it: for whoever runs the cluster.
    ///
    /// # Errors
    /// What the contract says of a change; `conflict` for a name that cannot be an admin's.
    pub async fn appoint(&self, name: &str) -> Result<Appointed, Problem> {
        let (token, link) = draw_token()?;
        // Its own request each time: whoever repeats it is given another link, and the first one stays good.
        let command = Command {
            user: name.to_owned(),
            id: format!("appoint-{}", hex::encode(&link[..16])),
            change: Change::Appoint { link },
        };
        match within(self.propose_when_read(command)).await?.done {
            Done::User(_) => Ok(Appointed::Admin),
            Done::Link { .. } => Ok(Appointed::ByLink(self.url("create", &token)?)),
            other => {
                tracing::error!(?other, "an appointment was answered with something else");
                Err(Problem::internal())
            }
        }
    }

    pub(super) fn create_invite(self: &Arc<Self>, who: &Who, id: &str, (uses, hours): (u64, u64)) -> Started {
        self.start_link(who, id, LinkKind::Invite, |link| Change::CreateInvite { uses, hours, link })
    }

    pub(super) fn reset_password(self: &Arc<Self>, who: &Who, id: &str, user: String) -> Started {
        self.start_link(who, id, LinkKind::Reset, |link| Change::ResetPassword { user, link })
    }

    /// A change that makes a link, whose token is drawn for it.
    fn start_link(
        self: &Arc<Self>,
        who: &Who,
        id: &str,
        kind: LinkKind,
        change: impl FnOnce(TokenHash) -> Change,
    ) -> Started {
        let start = || {
            self.count_other(&who.user)?;
            let (token, link) = draw_token()?;
            let command = Command { user: who.user.clone(), id: id.to_owned(), change: change(link) };
            Ok((token, link, self.propose(command)?))
        };
        let (token, link, asked) = match start() {
            Ok(started) => started,
            Err(problem) => return Started::Now(Err(problem)),
        };
        let me = Arc::clone(self);
        Started::Later(Box::pin(async move {
            let Outcome { at, duplicate, done } = within(outcome(asked)).await?;
            let Done::Link { until } = done else {
                tracing::error!(?done, "a link was answered with something else");
                return Err(Problem::internal());
            };
            let is_invite = kind == LinkKind::Invite;
            let url = me.url(if is_invite { "invite" } else { "reset" }, &token)?;
            let invite = is_invite.then(|| hex::encode(shown(&link)));
            Ok(Answer::Link { invite, link: url, until, at, duplicate })
        }))
    }

    /// By a reset link: nobody is logged in.
    pub fn start_by_link(
        self: &Arc<Self>,
        id: &str,
        link: String,
        password: String,
        from: &Caller,
    ) -> Started {
        let (me, id, from) = (Arc::clone(self), id.to_owned(), from.clone());
        Started::Later(Box::pin(async move { within(me.set_password(id, link, password, from)).await }))
    }

    async fn set_password(
        self: Arc<Self>,
        id: String,
        token: String,
        password: String,
        from: Caller,
    ) -> Reply {
        let link = hash_of(&token);
        let row = self.known_link(link, &from, |row| row.kind == LinkKind::Reset).await?;
        let new_hash = self.hash(password.clone()).await?;
        let request = self.fingerprint(&row.name, &id, password).await?;
        let change = Change::SetPassword { link, new_hash, request };
        Ok(outcome(self.propose(Command { user: row.name, id, change })?).await?.into())
    }

    /// Whether anybody may be about to register: apply says so in the end.
    pub(super) async fn check_way_in(&self, link: Option<TokenHash>, from: &Caller) -> Result<(), Problem> {
        match link {
            Some(link) => {
                self.known_link(link, from, |row| row.kind != LinkKind::Reset).await?;
            }
            None if self.registration().await? == Registration::Closed => {
                // An admin may have opened it elsewhere a moment ago.
                self.barrier().await?;
                if self.registration().await? == Registration::Closed {
                    let why = "registration is closed: ask an admin for an invitation";
                    return Err(Problem::new(Code::Forbidden, why));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// The link of this token, good or not. Who shows one that is none counts as who guesses a password.
    async fn known_link(
        &self,
        token_hash: TokenHash,
        from: &Caller,
        fits: impl Fn(&LinkRow) -> bool,
    ) -> Result<LinkRow, Problem> {
        let guess = self.may_guess(from.address).await?;
        match self.link(token_hash).await?.filter(fits) {
            Some(row) => Ok(row),
            None => {
                guess.was_no_link();
                Err(no_such_link())
            }
        }
    }

    /// It may have been made elsewhere a moment ago.
    async fn link(&self, token_hash: TokenHash) -> Result<Option<LinkRow>, Problem> {
        let ask = |reply| LinkOf { token_hash, reply };
        let found = self.read(&self.ports.link_of, ask).await?;
        if found.is_some() {
            return Ok(found);
        }
        self.barrier().await?;
        self.read(&self.ports.link_of, ask).await
    }

    /// Who may register, as an admin has set, else as the settings of this node say.
    async fn registration(&self) -> Result<Registration, Problem> {
        let set = self.read(&self.ports.registration, |reply| RegistrationSet { reply }).await?;
        Ok(set.unwrap_or(self.config.registration))
    }

    pub(super) async fn server(&self) -> Reply {
        Ok(Answer::Server { registration: self.registration().await? })
    }

    pub(super) async fn list_sessions(&self, who: Who) -> Reply {
        let ask = |reply| Sessions { user: who.user, reply };
        let sessions = self.read(&self.ports.sessions, ask).await?.into_iter().map(|row| ListedSession {
            session: hex::encode(shown(&row.token_hash)),
            time: (row.time > 0).then_some(row.time),
            agent: row.agent,
            current: row.token_hash == who.token_hash,
        });
        Ok(Answer::Sessions { sessions: sessions.collect() })
    }

    pub(super) async fn list_invites(&self, user: String) -> Reply {
        let invites = self.read(&self.ports.invites, |reply| Invites { user, reply }).await?;
        let invites = invites.ok_or_else(for_admins)?.into_iter().map(|row| ListedInvite {
            invite: hex::encode(shown(&row.token_hash)),
            by: row.by,
            uses: row.uses,
            used: row.used,
            until: row.until,
            revoked: row.revoked,
        });
        Ok(Answer::Invites { invites: invites.collect() })
    }

    /// A page of this node that knows what to do with the token.
    fn url(&self, what: &str, token: &str) -> Result<String, Problem> {
        Ok(format!("{}/#{what}={token}", self.public_url()?))
    }

    /// How others reach this node.
    pub(super) fn public_url(&self) -> Result<String, Problem> {
        let directory = self.directory.borrow();
        let Some(public) = directory.public_url() else {
            tracing::error!("this node does not stand in its own directory");
            return Err(Problem::internal());
        };
        Ok(public.trim_end_matches('/').to_owned())
    }
}

/// Said to whoever is not one.
pub(super) fn for_admins() -> Problem {
    Problem::new(Code::Forbidden, "only an admin may do this")
}

fn no_such_link() -> Problem {
    let why = "this link is none of this chat's: see that it is whole, or ask for another";
    Problem::new(Code::Forbidden, why)
}
