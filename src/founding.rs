//! Founding over HTTP: asks the listed members how far they are, until the chat exists.
//!
//! What is decided stands in `chat_actors::founding`; here is who asks, who stores and who says so in
//! the log. The [`Desk`] has the node's disk in hand until then, since both this node's own driver and
//! the peer port (for the founder elsewhere) write to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use awc::Client;
use chat_actors::chat::command::LEVEL;
use chat_actors::founding::{
    Answer, Deed, Drawn, Heard, Listed, Request, Step, join, left, next_without, obey,
};
use chat_actors::membership::{Admission, Foundation, Founding};
use chat_actors::messages::members::Wish;
use chat_actors::peer_link::Secret;
use chat_actors::peer_link::client::{Failure, client, good};
use futures_util::future::join_all;
use tracing::{info, warn};

use crate::edge::members::{self, Asked};
use crate::edge::peer::{FOUNDING_PATH, FoundingDesk};

/// How often the members are asked while this node waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the log repeats for whom it waits.
const REMIND_EVERY: Duration = Duration::from_secs(10);
/// A living cluster answers a node that would join within this, or not at all.
const JOIN_MAX: Duration = Duration::from_secs(10);
/// A member syncs its disk before it answers.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Where a node keeps how far it is; every change is on the disk when it returns.
pub trait Book: Send + 'static {
    type Error: std::fmt::Display;

    fn foundation(&self) -> Result<Foundation, Self::Error>;
    fn propose(&mut self, founding: &Founding) -> Result<(), Self::Error>;
    fn confirm(&mut self) -> Result<(), Self::Error>;
    fn drop(&mut self) -> Result<(), Self::Error>;
    fn admit(&mut self, admission: &Admission) -> Result<(), Self::Error>;
}

/// Who a node is, and whom it asks.
pub struct Identity {
    pub own: Listed,
    /// As the node's settings list them, in that order.
    pub members: Vec<Listed>,
    /// Peer URLs of a running cluster, instead.
    pub join: Vec<String>,
    /// The clusters in whose place the one on its disk came.
    pub supersedes: Vec<String>,
    /// Drawn with its file.
    pub disk: String,
}

/// Founding cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FoundingFailed {
    #[error("cannot found the chat: {0}")]
    Disk(String),
    #[error("cannot draw random digits: {0}")]
    Dice(getrandom::Error),
    #[error("the node's disk is in other hands already")]
    Closed,
}

/// Answers for one node while there is no chat, and says which one it was afterwards.
pub struct Desk<B> {
    who: Identity,
    /// Drawn for this run of the process.
    run: String,
    state: Mutex<State<B>>,
    waiting: Mutex<String>,
    /// Members that the operator gave up.
    without: Mutex<Vec<String>>,
}

enum State<B> {
    /// With how often it was written by this run of the process.
    Open(B, u64),
    /// The book is with the node's storage now; nothing changes any more.
    Closed(Foundation),
}

impl<B: Book> Desk<B> {
    /// # Errors
    /// [`FoundingFailed::Dice`].
    pub fn new(who: Identity, book: B) -> Result<Arc<Self>, FoundingFailed> {
        Ok(Arc::new(Self {
            who,
            run: digits::<8>()?,
            state: Mutex::new(State::Open(book, 0)),
            waiting: Mutex::new("the node is starting".to_owned()),
            without: Mutex::default(),
        }))
    }

    /// Hands the book over, once the chat is founded. From then on the desk only says so.
    ///
    /// # Errors
    /// When it was handed over before, or cannot be read.
    pub fn close(&self) -> Result<B, FoundingFailed> {
        let mut state = lock(&self.state);
        let foundation = state.foundation()?;
        match std::mem::replace(&mut *state, State::Closed(foundation)) {
            State::Open(book, _) => Ok(book),
            State::Closed(_) => Err(FoundingFailed::Closed),
        }
    }

    fn foundation(&self) -> Result<Foundation, FoundingFailed> {
        lock(&self.state).foundation()
    }

    /// What is on the disk, and the name of this run with the disk as it is.
    fn now(&self) -> Result<(Foundation, String), FoundingFailed> {
        let state = lock(&self.state);
        Ok((state.foundation()?, state.run(&self.run)))
    }

    /// Writes, if nobody has written since this was decided; the other side of the desk may have been faster.
    fn write(&self, decided_in: &str, deed: &Deed) -> Result<(), FoundingFailed> {
        let mut state = lock(&self.state);
        if state.run(&self.run) != decided_in {
            return Ok(());
        }
        state.write(deed)
    }

    /// A living cluster has let this node in.
    fn admit(&self, admission: &Admission) -> Result<(), FoundingFailed> {
        match &mut *lock(&self.state) {
            State::Open(book, written) => {
                *written += 1;
                book.admit(admission).map_err(disk)
            }
            State::Closed(_) => Err(FoundingFailed::Closed),
        }
    }

    /// The others that this node asks: the listed members, or the addresses that it is to join at.
    fn others(&self) -> Vec<Listed> {
        let door = |url: &String| Listed { name: url.clone(), peer: url.clone(), public: String::new() };
        match self.who.members.is_empty() {
            true => self.who.join.iter().map(door).collect(),
            false => {
                let others = self.who.members.iter().filter(|member| member.name != self.who.own.name);
                others.cloned().collect()
            }
        }
    }

    fn wait_for(&self, sentence: &str) {
        sentence.clone_into(&mut lock(&self.waiting));
    }
}

impl<B: Book> State<B> {
    fn foundation(&self) -> Result<Foundation, FoundingFailed> {
        match self {
            Self::Open(book, _) => book.foundation().map_err(disk),
            Self::Closed(foundation) => Ok(foundation.clone()),
        }
    }

    fn write(&mut self, deed: &Deed) -> Result<(), FoundingFailed> {
        let (book, written) = match self {
            _ if *deed == Deed::Nothing => return Ok(()),
            Self::Open(book, written) => (book, written),
            Self::Closed(_) => return Err(FoundingFailed::Closed),
        };
        *written += 1;
        match deed {
            Deed::Nothing => Ok(()),
            Deed::Store(record) => book.propose(record).map_err(disk),
            Deed::Drop => book.drop().map_err(disk),
            Deed::Confirm => book.confirm().map_err(disk),
        }
    }

    /// What an ask must name: this run of the process, and the disk as it is now.
    fn run(&self, process: &str) -> String {
        match self {
            Self::Open(_, written) => format!("{process}.{written}"),
            Self::Closed(_) => process.to_owned(),
        }
    }
}

impl<B: Book> FoundingDesk for Desk<B> {
    fn answer(&self) -> Result<Answer, String> {
        let (foundation, run) = self.now().map_err(|error| error.to_string())?;
        Ok(Answer {
            name: self.who.own.name.clone(),
            run,
            members: self.who.members.clone(),
            foundation,
            supersedes: self.who.supersedes.clone(),
            disk: self.who.disk.clone(),
        })
    }

    fn obey(&self, request: &Request) -> Result<Answer, String> {
        {
            let mut state = lock(&self.state);
            let foundation = state.foundation().map_err(|error| error.to_string())?;
            let run = state.run(&self.run);
            let deed = obey(&self.who.own.name, &run, &self.who.members, &foundation, request)?;
            state.write(&deed).map_err(|error| error.to_string())?;
        }
        self.answer()
    }

    fn waiting_for(&self) -> String {
        lock(&self.waiting).clone()
    }

    fn give_up(&self, without: &[String]) -> Result<Option<Listed>, String> {
        let (own, members) = (&self.who.own.name, &self.who.members);
        if let Foundation::Founded(record) = self.foundation().map_err(|error| error.to_string())? {
            let was_left_out = |name: &String| {
                members.iter().any(|member| member.name == *name)
                    && !record.nodes.iter().any(|node| node.name == *name)
            };
            return match without.iter().all(was_left_out) {
                true => Ok(None),
                false => Err(format!("the chat {} is founded: use members remove", record.cluster)),
            };
        }
        let unknown = |name: &&String| !members.iter().any(|member| member.name == **name);
        if let Some(name) = without.iter().find(unknown) {
            return Err(format!("cluster.members of {own} does not list {name}"));
        }
        if without.contains(own) {
            return Err(format!("{own} is the node that was asked: it cannot be left out"));
        }
        let mut all = lock(&self.without);
        // Added to those that were given up before: they are named one by one, or all at once.
        let more: Vec<String> = without.iter().filter(|name| !all.contains(name)).cloned().collect();
        let given_up = [all.as_slice(), &more].concat();
        match left(members, &given_up).into_iter().next() {
            Some(founder) if founder.name != *own => Ok(Some(founder)),
            _ => {
                warn!(without = given_up.join(", "), "the operator gave members up");
                *all = given_up;
                Ok(None)
            }
        }
    }
}

/// Returns when the chat exists and this node is part of it: at once when its disk says so. Waits
/// without end otherwise, so the caller listens for the signals meanwhile. Needs an actix runtime.
///
/// # Errors
/// When this node's disk fails.
pub async fn found<B: Book>(desk: &Desk<B>, secret: &Secret) -> Result<Founding, FoundingFailed> {
    let asker = Asker { client: client(ANSWER_MAX), secret: secret.clone() };
    let own_name = desk.who.own.name.as_str();
    let all_others = desk.others();
    let drawn = draw()?;
    let mut log = WaitLog::default();
    let mut joining: Option<String> = None;
    loop {
        let (own, run) = desk.now()?;
        let without = lock(&desk.without).clone();
        let others: Vec<&Listed> = all_others.iter().filter(|other| !without.contains(&other.name)).collect();
        let heard = match own {
            // Nothing to ask any more.
            Foundation::Founded(_) => Vec::new(),
            _ => join_all(others.iter().map(|member| asker.hear(member))).await,
        };
        // The founder may have written here meanwhile: then what they say must not meet the old state.
        if desk.now()?.1 != run {
            continue;
        }
        let step = match desk.who.members.is_empty() {
            true => join(own_name, &own, &heard),
            false => next_without(own_name, &desk.who.members, &without, &own, &heard, &drawn),
        };
        match step {
            Step::Start(record) => return Ok(record),
            Step::Store(record) => {
                info!(cluster = record.cluster, members = record.nodes.len(), "founding a chat");
                desk.write(&run, &Deed::Store(record))?;
            }
            Step::Drop => {
                warn!("cluster.members has changed: dropping the unconfirmed founding record");
                desk.write(&run, &Deed::Drop)?;
            }
            Step::Confirm { tell } => {
                desk.write(&run, &Deed::Confirm)?;
                if let Foundation::Founded(record) = desk.foundation()? {
                    info!(cluster = record.cluster, "the chat is founded");
                    asker.spread(&others, tell);
                }
            }
            Step::Ask(asks) => {
                if let Some(refusal) = asker.ask_all(&others, asks).await {
                    desk.wait_for(&refusal);
                    log.say(&refusal, true);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
            Step::Wait(sentence) => {
                desk.wait_for(&sentence);
                log.say(&sentence, false);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Step::Join { cluster, via } => {
                if joining.as_ref() != Some(&cluster) {
                    info!("the disk of {own_name} is empty: joining the living cluster {cluster} anew");
                    joining = Some(cluster.clone());
                }
                let doors: Vec<&Listed> =
                    others.iter().copied().filter(|member| via.contains(&member.name)).collect();
                let sentence = match asker.ask_to_join(&desk.who, &doors).await {
                    Ok(admission) => {
                        let (id, cluster) = (admission.raft_id, &admission.cluster);
                        info!(%id, cluster, "let into the living cluster as a new replica");
                        desk.admit(&admission)?;
                        continue;
                    }
                    Err(why) => format!(
                        "{} belongs to the living cluster {cluster}, but the disk of {own_name} is empty: asking to \
                         join it anew; {why}",
                        via.join(", ")
                    ),
                };
                desk.wait_for(&sentence);
                log.say(&sentence, true);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Step::TakeNoPart(sentence) => {
                desk.wait_for(&sentence);
                log.say(&sentence, true);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Asks each of these members how far it is; who takes longer than `answer_max` is silent.
/// Needs an actix runtime.
pub async fn hear_all(members: &[Listed], secret: &Secret, answer_max: Duration) -> Vec<(String, Heard)> {
    let asker = Asker { client: client(answer_max), secret: secret.clone() };
    join_all(members.iter().map(|member| asker.hear(member))).await
}

/// Says what a node waits for: when it changes, and every ten seconds.
#[derive(Default)]
struct WaitLog {
    said: Option<(String, Instant)>,
}

impl WaitLog {
    fn say(&mut self, sentence: &str, warning: bool) {
        let fresh = |(said, at): &(String, Instant)| said == sentence && at.elapsed() < REMIND_EVERY;
        if self.said.as_ref().is_some_and(fresh) {
            return;
        }
        if warning {
            warn!("not part of a chat: {sentence}");
        } else {
            info!("not part of a chat yet: {sentence}");
        }
        self.said = Some((sentence.to_owned(), Instant::now()));
    }
}

#[derive(Clone)]
struct Asker {
    client: Client,
    secret: Secret,
}

impl Asker {
    /// How far a member is.
    async fn hear(&self, member: &Listed) -> (String, Heard) {
        let asked =
            self.client.get(url(member)).insert_header(("authorization", self.secret.bearer())).send();
        let heard = match good(asked.await).await {
            Ok(mut response) => match response.json::<Answer>().limit(ANSWER_BYTES_MAX).await {
                Ok(answer) => Heard::Answer(answer),
                Err(error) => Heard::Refused(format!("its answer cannot be read: {error}")),
            },
            Err(Failure::PortClosed | Failure::NoAnswer(_)) => Heard::Silent,
            Err(failure @ (Failure::NotReady(_) | Failure::Refused(_))) => {
                Heard::Refused(failure.to_string())
            }
        };
        (member.name.clone(), heard)
    }

    /// Asks these, one after the other, to be let in; else what they said.
    async fn ask_to_join(&self, who: &Identity, members: &[&Listed]) -> Result<Admission, String> {
        let wish = Wish::Join {
            name: who.own.name.clone(),
            peer: who.own.peer.clone(),
            public: who.own.public.clone(),
            disk: who.disk.clone(),
            gone: None,
            level: LEVEL,
        };
        let asked = Asked { wish, passed_on: false };
        let mut said = Vec::new();
        for member in members {
            let url = format!("{}{}", member.peer.trim_end_matches('/'), members::PATH);
            match members::post(&url, &self.secret, &asked, JOIN_MAX).await {
                Ok(done) => match done.admission {
                    Some(admission) => return Ok(admission),
                    None => said.push(format!("{}: {}", member.name, done.says)),
                },
                Err(Failure::NotReady(why)) if why.message.contains(members::NO_MAJORITY) => {
                    said.push(format!(
                        "{}: {}; if the disks of a majority are lost for good, stop what is left and run \
                         replicated-chat recover there",
                        member.name, why.message
                    ));
                }
                Err(failure) => said.push(format!("{}: {failure}", member.name)),
            }
        }
        Err(said.join("; "))
    }

    /// Asks all of them at once; gives the first refusal. A silent one is seen by the next look.
    async fn ask_all(&self, others: &[&Listed], asks: Vec<(String, Request)>) -> Option<String> {
        let asking = asks.into_iter().filter_map(|(name, request)| {
            let member = others.iter().find(|member| member.name == name)?;
            Some(self.ask(member, request))
        });
        join_all(asking).await.into_iter().find_map(Result::err)
    }

    async fn ask(&self, member: &Listed, request: Request) -> Result<(), String> {
        let authorization = ("authorization", self.secret.bearer());
        let asked = self.client.post(url(member)).insert_header(authorization).send_json(&request);
        match good(asked.await).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(format!("{} at {}: {failure}", member.name, member.peer)),
        }
    }

    /// Tells the others that all hold the record. They would see it themselves a little later, so
    /// nobody waits for their answers.
    fn spread(&self, others: &[&Listed], tell: Vec<(String, Request)>) {
        let others: Vec<Listed> = others.iter().map(|member| (*member).clone()).collect();
        let asker = self.clone();
        actix_web::rt::spawn(async move {
            let _seen_by_themselves_otherwise = asker.ask_all(&others.iter().collect::<Vec<_>>(), tell).await;
        });
    }
}

fn url(member: &Listed) -> String {
    format!("{}{FOUNDING_PATH}", member.peer.trim_end_matches('/'))
}

fn draw() -> Result<Drawn, FoundingFailed> {
    Ok(Drawn { cluster: digits::<16>()?, epoch: digits::<8>()? })
}

/// Twice as many hexadecimal digits as bytes, at random.
///
/// # Errors
/// [`FoundingFailed::Dice`].
pub fn digits<const BYTES: usize>() -> Result<String, FoundingFailed> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(FoundingFailed::Dice)?;
    Ok(hex::encode(bytes))
}

fn disk(error: impl std::fmt::Display) -> FoundingFailed {
    FoundingFailed::Disk(error.to_string())
}

/// A panic elsewhere leaves these values whole: each is replaced as one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
