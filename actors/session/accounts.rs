//! Who somebody is: `hello`, `register`, `login`, what they are welcomed with, and the changes that
//! need a password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::bots;
use super::caller::Caller;
use super::executor::{Executor, Who, locked, millis, not_done, outcome, within};
use super::limits::Admission;
use super::reply::{Answer, Problem, Reply, Welcome};
use super::request::{Op, Resume};
use crate::bus::{Port, ask};
use crate::chat::command::{Change, Command, LoginOp, RequestDigest, TokenHash};
use crate::chat::objects::User;
use crate::chat::outcome::{Code, Done, Outcome};
use crate::chat::rules;
use crate::chat::tables::{Registration, UserRow};
use crate::ids::{At, RoomId};
use crate::messages::consensus::NotDone;
use crate::messages::hub::Reached;
use crate::messages::passwords::{Fingerprint, Hash, Verify};
use crate::messages::people::{Cluster, Surroundings};
use crate::messages::reading::{Account, Home, HomeView, SessionOf, SessionUser};

/// A cursor further back than this loads anew instead of reading all that happened.
const RESUME_SPAN: u64 = 100_000;
/// How long a node that is behind a client's cursor waits for itself.
const BEHIND_WAIT: Duration = Duration::from_secs(2);
/// A name whose password was guessed too often is answered so much later, at most.
const SLOWED_BY: Duration = Duration::from_secs(2);
const TOKEN_BYTES: usize = 32;

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub user: User,
    pub token_hash: TokenHash,
    /// Of a bot.
    pub rights: Option<Arc<[String]>>,
    /// Drawn just now: for `register` and `login`.
    pub token: Option<String>,
    pub at: Option<At>,
    pub duplicate: bool,
    /// The session is over already: what was done is answered all the same.
    pub ended: bool,
}

/// How a session goes on after its welcome.
#[derive(Clone, Debug)]
pub struct Onward {
    /// Everything up to here is known to the client.
    pub cursor: At,
    /// There is something to read from the tables first.
    pub pull: bool,
    /// The user's rooms …
    pub rooms: Vec<RoomId>,
    /// … as of here.
    pub rooms_at: At,
}

/// What `register` asks for.
struct NewAccount {
    name: String,
    password: String,
    display: String,
    link: Option<TokenHash>,
}

impl Admitted {
    pub fn who(&self) -> Who {
        Who { user: self.user.name.clone(), token_hash: self.token_hash, rights: self.rights.clone() }
    }
}

impl Executor {
    /// Lets somebody in by `hello`, `register` or `login`.
    ///
    /// # Errors
    /// What the contract says of them; `unavailable` when only a majority could tell.
    pub async fn admit(&self, id: &str, op: Op, from: &Caller) -> Result<Admitted, Problem> {
        within(async {
            match op {
                Op::Hello { ref token, .. } => {
                    let admitted = self.session_of(token).await?;
                    bots::check(admitted.rights.as_deref(), &op)?;
                    Ok(admitted)
                }
                Op::Register { name, password, display, invite } => {
                    let link = invite.map(|token| hash_of(&token));
                    self.register(id, NewAccount { name, password, display, link }, from).await
                }
                Op::Login { name, password, .. } => self.login(id, name, password, from).await,
                _ => Err(Problem::new(Code::Unauthorized, "begin with hello, register or login")),
            }
        })
        .await
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// `unauthorized` when a majority knows that it is nobody's.
    pub async fn session_of(&self, token: &str) -> Result<Admitted, Problem> {
        let token_hash = hash_of(token);
        let ask = |reply| SessionOf { token_hash, reply };
        let mut user = self.read(&self.ports.session_of, ask).await?;
        if user.is_none() {
            // It may have been made elsewhere a moment ago. Without a majority nobody can tell, and a
            // client must not throw a good token away.
            self.barrier().await?;
            user = self.read(&self.ports.session_of, ask).await?;
        }
        let SessionUser { user, rights } = user.ok_or_else(session_ended)?;
        let rights = rights.map(Arc::from);
        Ok(Admitted { user, token_hash, rights, token: None, at: None, duplicate: false, ended: false })
    }

    /// Looks once more whether the session is good. Before somebody's end is heard where they are let in, it may
    /// have come and gone.
    ///
    /// # Errors
    /// `unauthorized` when it has ended, unless it was made just now: whoever repeats a login ends the session that it
    /// made before, and both are told that they logged in.
    pub(super) async fn still_good(&self, admitted: Admitted) -> Result<Admitted, Problem> {
        let token_hash = admitted.token_hash;
        let known = self.read(&self.ports.session_of, |reply| SessionOf { token_hash, reply }).await?;
        match known {
            Some(SessionUser { rights, .. }) => Ok(Admitted { rights: rights.map(Arc::from), ..admitted }),
            None if admitted.token.is_some() => Ok(Admitted { ended: true, ..admitted }),
            None => Err(session_ended()),
        }
    }

    async fn register(&self, id: &str, new: NewAccount, from: &Caller) -> Result<Admitted, Problem> {
        let NewAccount { name, password, display, link } = new;
        let there = self.account(&name).await?;
        let password_hash = match &there {
            Some(row) if row.created_by != id => {
                return Err(Problem::new(Code::Conflict, "this name is taken: choose another"));
            }
            // Apply refuses this in any case, and says whether it is a repeat: no hash is needed.
            Some(_) => String::new(),
            None => {
                self.check_way_in(link, from).await?;
                self.hash(password.clone()).await?
            }
        };
        let (token, token_hash) = draw_token()?;
        let change = Change::Register {
            display,
            password_hash,
            token_hash,
            first_is_admin: self.config.first_is_admin,
            link,
            closed: self.config.registration == Registration::Closed,
            agent: Some(from.agent.clone()),
        };
        match self.ask_for_session(Command { user: name.clone(), id: id.to_owned(), change }).await? {
            Ok(done) => admitted(done, token, token_hash),
            Err(NotDone::Refused(refusal)) if refusal.registered_by_this_id => {
                let right = |row: &Option<UserRow>| row.as_ref().map(|row| row.password_hash.clone());
                let stored = right(&self.account(&name).await?);
                if !self.verify(password, stored.clone()).await? {
                    return Err(Problem::from(*refusal));
                }
                self.open_session(id, name, stored.unwrap_or_default(), LoginOp::Register, from).await
            }
            Err(why) => Err(not_done(why)),
        }
    }

    /// Asks for a session. While a member may be of a version that does not read all of it, what is only
    /// nice to know is left out.
    async fn ask_for_session(&self, command: Command) -> Result<Result<Outcome, NotDone>, Problem> {
        let earlier = command.change.in_earlier_words();
        let Command { user, id, .. } = command.clone();
        let mut answer = self.propose(command)?.await;
        if let (Ok(Err(NotDone::TooNew { .. })), Some(change)) = (&answer, earlier) {
            answer = self.propose(Command { user, id, change })?.await;
        }
        answer.map_err(|_| Problem::timeout())
    }

    async fn login(
        &self,
        id: &str,
        name: String,
        password: String,
        from: &Caller,
    ) -> Result<Admitted, Problem> {
        if let Some(address) = &from.address {
            locked(&self.failed_by_address).check(address, Instant::now()).map_err(too_many_failed)?;
        }
        // What cannot be a name is nobody's, and not kept to be counted: it may be of any length.
        let is_name = rules::name(&name).is_ok();
        if is_name {
            self.slow_down(&name).await;
        }
        // An account or a password may have been made elsewhere a moment ago; and without a majority
        // nobody can be let in anyway.
        self.barrier().await?;
        let guess = self.may_guess(from.address).await?;
        let account = if is_name { self.account(&name).await? } else { None };
        let account = account.filter(|row| !row.deleted && row.bot.is_none());
        let disabled = account.as_ref().is_some_and(|row| row.disabled);
        let stored = account.map(|row| row.password_hash);
        if !self.verify(password, stored.clone()).await? {
            guess.was_wrong(is_name.then_some(name));
            return Err(Problem::new(Code::Unauthorized, "wrong name or password"));
        }
        drop(guess);
        if disabled {
            return Err(Problem::new(Code::Forbidden, "this account is disabled: ask an admin"));
        }
        self.open_session(id, name, stored.unwrap_or_default(), LoginOp::Login, from).await
    }

    /// The password is right: makes a session.
    async fn open_session(
        &self,
        id: &str,
        user: String,
        password_hash: String,
        op: LoginOp,
        from: &Caller,
    ) -> Result<Admitted, Problem> {
        let (token, token_hash) = draw_token()?;
        let change = Change::Login { token_hash, password_hash, op, agent: Some(from.agent.clone()) };
        let asked = self.ask_for_session(Command { user, id: id.to_owned(), change }).await?;
        admitted(asked.map_err(not_done)?, token, token_hash)
    }

    pub(super) async fn change_password(
        &self,
        who: Who,
        id: String,
        (old, new): (String, String),
        from: Option<IpAddr>,
    ) -> Reply {
        self.count_other(&who.user)?;
        let (right, guess) = self.check_password(&who.user, &old, from).await?;
        // One that was done already is repeated with an old password that is no longer right: only apply
        // knows it by its id. A hash that nobody has lets it look, and refuse what is not a repeat.
        let old_hash = right.clone().unwrap_or_default();
        let new_hash = self.hash(new.clone()).await?;
        let secrets = format!("{}:{old}{new}", old.len());
        let request = self.fingerprint(&who.user, &id, secrets).await?;
        let change = Change::ChangePassword { old_hash, new_hash, token_hash: who.token_hash, request };
        let asked = self.propose(Command { user: who.user.clone(), id, change })?;
        let done = outcome(asked).await;
        if right.is_none() && done.is_err() {
            guess.was_wrong(Some(who.user));
        }
        Ok(done?.into())
    }

    pub(super) async fn delete_account(
        &self,
        who: Who,
        id: String,
        password: String,
        from: Option<IpAddr>,
    ) -> Reply {
        let (right, guess) = self.check_password(&who.user, &password, from).await?;
        let Some(password_hash) = right else {
            guess.was_wrong(Some(who.user));
            return Err(Problem::new(Code::Forbidden, "wrong password"));
        };
        drop(guess);
        let change = Change::DeleteAccount { password_hash };
        Ok(outcome(self.propose(Command { user: who.user, id, change })?).await?.into())
    }

    /// The stored hash, when the password is right; and the guess that it was, for who asks to end. Whoever holds
    /// somebody's token is held up like whoever knows a name.
    async fn check_password(
        &self,
        user: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<(Option<String>, Guess<'_>), Problem> {
        self.slow_down(user).await;
        self.barrier().await?;
        let guess = self.may_guess(from).await?;
        let stored = self.account(user).await?.filter(|row| !row.deleted).map(|row| row.password_hash);
        let right = self.verify(password.to_owned(), stored.clone()).await?;
        Ok((stored.filter(|_| right), guess))
    }

    /// What `hello` shows, and how the session goes on. `reached`: the way to wait for this node.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn welcome(
        &self,
        admitted: &Admitted,
        resume: &Resume,
        reached: Option<&Port<Reached>>,
    ) -> Result<(Welcome, Onward), Problem> {
        let directory = Arc::clone(&self.directory.borrow());
        let mut home = self.home(&admitted.user.name).await?;
        let asked = resume.cursor.filter(|_| resume.epoch.as_deref() == Some(directory.epoch.as_str()));
        if let (Some(cursor), Some(reached)) = (asked.filter(|cursor| *cursor > home.at), reached)
            && self.wait_for(cursor, reached).await
        {
            home = self.home(&admitted.user.name).await?;
        }
        let resumed = asked.filter(|cursor| home.at.0.saturating_sub(cursor.0) <= RESUME_SPAN);
        let cursor = resumed.unwrap_or(home.at);
        let view = ask(&self.ports.surroundings, |reply| Surroundings { reply }).await?;
        let onward = Onward {
            cursor,
            pull: cursor < home.at,
            rooms: home.rooms.iter().filter(|home| home.room.member).map(|home| home.room.room).collect(),
            rooms_at: home.at,
        };
        let welcome = Welcome {
            token: admitted.token.clone(),
            at: admitted.at,
            duplicate: admitted.duplicate,
            user: admitted.user.clone(),
            node: directory.node.clone(),
            protocol: 1,
            cursor,
            epoch: directory.epoch.clone(),
            resumed: resumed.is_some(),
            behind: cursor > home.at,
            rooms: home.rooms,
            cluster: Cluster::new(&directory, &view),
            nodes: directory.public_urls(),
            limits: self.config.limits,
            heartbeat_ms: self.config.heartbeat_ms,
        };
        Ok((welcome, onward))
    }

    /// `hello`, `register` or `login` over HTTP: nobody stays to be told events.
    pub async fn admit_once(&self, id: &str, op: Op, from: &Caller) -> Reply {
        let resume = resume_of(&op);
        let admitted = self.admit(id, op, from).await?;
        let (welcome, _) = within(self.welcome(&admitted, &resume, None)).await?;
        Ok(Answer::Welcome(Box::new(welcome)))
    }

    async fn home(&self, user: &str) -> Result<HomeView, Problem> {
        self.read(&self.ports.home, |reply| Home { user: user.to_owned(), reply }).await
    }

    async fn wait_for(&self, at: At, port: &Port<Reached>) -> bool {
        let (reply, reached) = oneshot::channel();
        port.tell(Reached { at, reply });
        tokio::time::timeout(BEHIND_WAIT, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    pub(super) async fn account(&self, name: &str) -> Result<Option<UserRow>, Problem> {
        self.read(&self.ports.account, |reply| Account { name: name.to_owned(), reply }).await
    }

    /// What tells a request with these secrets from another under the same id.
    pub(super) async fn fingerprint(
        &self,
        user: &str,
        id: &str,
        secrets: String,
    ) -> Result<RequestDigest, Problem> {
        let salt_from = Sha256::digest(format!("{user} {id}"));
        let mut salt = [0; 16];
        salt.copy_from_slice(&salt_from[..16]);
        let ask_for = |reply| Fingerprint { salt, secrets, reply };
        let request = ask(&self.ports.passwords.fingerprint, ask_for).await?;
        request.ok_or_else(Problem::internal)
    }

    pub(super) async fn hash(&self, password: String) -> Result<String, Problem> {
        let hash = ask(&self.ports.passwords.hash, |reply| Hash { password, reply }).await?;
        hash.ok_or_else(Problem::internal)
    }

    async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Problem> {
        Ok(ask(&self.ports.passwords.verify, |reply| Verify { password, stored, reply }).await?)
    }

    /// By name, which others could block, too many failed logins are only slowed down.
    async fn slow_down(&self, name: &str) {
        let slowed = locked(&self.failed_by_name).wait(&name.to_owned(), Instant::now());
        if let Err(wait) = slowed {
            tokio::time::sleep(wait.min(SLOWED_BY)).await;
        }
    }

    /// By address they are refused. Guesses under way count as wrong ones, so that many at once are no
    /// more than one after the other; who is too many waits until one of them has ended.
    pub(super) async fn may_guess(&self, from: Option<IpAddr>) -> Result<Guess<'_>, Problem> {
        loop {
            // Before the look, so that no end is missed.
            let ended = self.attempt_ended.notified();
            let Some(address) = from else { break };
            let admission = locked(&self.failed_by_address).begin(address, Instant::now());
            match admission {
                Admission::Begun => break,
                Admission::Wait => ended.await,
                Admission::Refused(wait) => return Err(too_many_failed(wait)),
            }
        }
        Ok(Guess { executor: self, from, wrong: false })
    }
}

/// A password or a link that is being checked; ends when it is dropped, also by a client that went away.
pub(super) struct Guess<'a> {
    executor: &'a Executor,
    from: Option<IpAddr>,
    wrong: bool,
}

impl Guess<'_> {
    pub(super) fn was_no_link(mut self) {
        self.wrong = true;
    }

    fn was_wrong(mut self, name: Option<String>) {
        self.wrong = true;
        if let Some(name) = name {
            locked(&self.executor.failed_by_name).spend(name, Instant::now());
        }
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if let Some(from) = self.from {
            locked(&self.executor.failed_by_address).end(from, self.wrong, Instant::now());
            self.executor.attempt_ended.notify_waiters();
        }
    }
}

fn session_ended() -> Problem {
    Problem::new(Code::Unauthorized, "this session has ended: log in")
}

fn too_many_failed(wait: Duration) -> Problem {
    Problem::rate_limited("too many failed logins from this address", millis(wait))
}

/// Where the client wants to go on.
pub(super) fn resume_of(op: &Op) -> Resume {
    match op {
        Op::Hello { resume, .. } | Op::Login { resume, .. } => resume.clone(),
        _ => Resume::default(),
    }
}

fn admitted(outcome: Outcome, token: String, token_hash: TokenHash) -> Result<Admitted, Problem> {
    let Done::Account(user) = outcome.done else {
        tracing::error!("a login was answered with something else");
        return Err(Problem::internal());
    };
    let (at, duplicate) = (Some(outcome.at), outcome.duplicate);
    Ok(Admitted { user, token_hash, rights: None, token: Some(token), at, duplicate, ended: false })
}

#[allow(clippy::disallowed_methods, reason = "tokens are drawn here; their hashes go into the core")]
pub(super) fn draw_token() -> Result<(String, TokenHash), Problem> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system has no random bytes");
        Problem::internal()
    })?;
    let token = hex::encode(bytes);
    let token_hash = hash_of(&token);
    Ok((token, token_hash))
}

pub(super) fn hash_of(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
