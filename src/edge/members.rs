//! Changes of members, asked of any node by operators and by nodes that join, and carried to the leader.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::bus::ask_anyway;
use chat_actors::founding::Answer;
use chat_actors::ids::RaftId;
use chat_actors::membership::{Admission, Foundation};
use chat_actors::messages::consensus::{ReadBarrier, Standing};
use chat_actors::messages::members::{ChangeMembers, Settled, Wish};
use chat_actors::peer_link::Secret;
use chat_actors::peer_link::client::{Failure, client, good};
use serde::{Deserialize, Serialize};

use super::peer::{FOUNDING_PATH, Inside, PeerEdge, Turned, bad, read};
use crate::settings::{HttpUrl, is_name};

pub const PATH: &str = "/peer/members";
pub const FOUND_PATH: &str = "/peer/found";

/// Whoever asks must know within ten seconds.
const ANSWER_MAX: Duration = Duration::from_millis(8_000);
/// How long to wait for somebody to lead.
const LEADER_MAX: Duration = Duration::from_millis(5_000);
/// An old address that does not answer within this has no node any more.
const OLD_ANSWER_MAX: Duration = Duration::from_millis(1_000);
/// How long founding may take when nobody is missing any more.
const FOUNDED_MAX: Duration = Duration::from_millis(2_000);
/// How long a leader still has to answer that this node follows no more: its answer may be on its way.
const LAST_WORD_MAX: Duration = Duration::from_millis(1_000);
/// How long this node may take to apply what another one has changed.
const CATCH_UP_MAX: Duration = Duration::from_millis(2_000);
const PAUSE: Duration = Duration::from_millis(100);
const BYTES_MAX: usize = 64 * 1024;
/// The codes with which a node says that it has done nothing.
const NOTHING_DONE: [&str; 2] = ["unavailable", "not_founded"];
const DISK_DIGITS_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub wish: Wish,
    /// By a node that takes this one for the leader: it is not passed on again.
    #[serde(default)]
    pub passed_on: bool,
}

/// What is answered when it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    pub says: String,
    /// For a node that joins.
    pub admission: Option<Admission>,
}

/// The members that the operator gives up, before there is a chat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GivenUp {
    pub without: Vec<String>,
    #[serde(default)]
    pub passed_on: bool,
}

pub async fn change(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let inside = edge.inside()?;
    let bytes = read(&request, body, BYTES_MAX).await?;
    let mut asked: Asked = serde_json::from_slice(&bytes).map_err(bad)?;
    put_in_form(&mut asked.wish)?;
    let asking = Asking { inside, secret: edge.secret(), until: Instant::now() + ANSWER_MAX };
    Ok(HttpResponse::Ok().json(asking.grant(asked).await?))
}

pub async fn found(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let bytes = read(&request, body, BYTES_MAX).await?;
    let mut asked: GivenUp = serde_json::from_slice(&bytes).map_err(bad)?;
    let elsewhere = edge.desk().give_up(&asked.without).map_err(Turned::Conflict)?;
    let Some(founder) = elsewhere else {
        let says = founded_without(&edge, &asked.without.join(", ")).await?;
        return Ok(HttpResponse::Ok().json(Done { says, admission: None }));
    };
    if asked.passed_on {
        return Err(Turned::Conflict(format!("{} would found the chat", founder.name)));
    }
    asked.passed_on = true;
    let answer = post(&format!("{}{FOUND_PATH}", founder.peer), edge.secret(), &asked, LEADER_MAX).await;
    match answer {
        Ok(done) => Ok(HttpResponse::Ok().json(done)),
        Err(failure) => {
            let (name, peer) = (founder.name, founder.peer);
            Err(Turned::Conflict(format!(
                "{name} at {peer} would found the chat: {failure}; if it is missing too, add --without {name}"
            )))
        }
    }
}

/// What came of giving members up: the chat, or what is still waited for after a while.
async fn founded_without(edge: &PeerEdge, names: &str) -> Result<String, Turned> {
    let until = Instant::now() + FOUNDED_MAX;
    loop {
        let answer = edge.desk().answer().map_err(Turned::Failed)?;
        if matches!(answer.foundation, Foundation::Founded(_)) {
            return Ok(format!("the chat is founded without {names}"));
        }
        if Instant::now() >= until {
            let waiting = edge.desk().waiting_for();
            return Ok(format!(
                "{names}: not waited for any more, but the chat is not founded yet: {waiting}"
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Asking<'a> {
    inside: &'a Inside,
    secret: &'a Secret,
    until: Instant,
}

impl Asking<'_> {
    /// Asks whoever leads until it is done, refused, or too late. Every wish may be repeated without harm.
    async fn grant(&self, asked: Asked) -> Result<Done, Turned> {
        let Asked { mut wish, passed_on } = asked;
        let leader_until = Instant::now() + LEADER_MAX;
        // A leader was asked that has not said what became of it.
        let mut is_open = false;
        loop {
            let why = match self.ask_here(&wish).await? {
                Settled::Done(says) => return Ok(Done { says, admission: None }),
                Settled::Joined { raft_id, roll } => return Ok(self.admission(raft_id, roll.here())),
                Settled::Refused(why) => return Err(Turned::Conflict(why)),
                Settled::Unknown => return Err(unknown("no majority has agreed to it in time")),
                Settled::Later(why) => why,
                Settled::AskOld { raft_id, peer } => match self.old_disk(&wish, &peer).await {
                    Some(why) => why,
                    None => {
                        if let Wish::Join { gone, .. } = &mut wish {
                            *gone = Some(raft_id);
                        }
                        continue;
                    }
                },
                Settled::Elsewhere(_) if passed_on => {
                    return Err(Turned::Unavailable("another node leads".to_owned()));
                }
                Settled::Elsewhere(leader) => match leader.and_then(|leader| self.peer_of(leader)) {
                    Some((leader, url)) => match self.pass_on(leader, &url, &wish).await {
                        Ok(done) => {
                            self.catch_up(&wish).await;
                            return Ok(done);
                        }
                        Err(Failure::Refused(said)) => return Err(Turned::Conflict(said.message)),
                        Err(failure) => {
                            let may_be_done = may_be_done(&failure);
                            is_open |= may_be_done;
                            match failure {
                                Failure::NotReady(said) if !may_be_done => said.message,
                                Failure::NotReady(_) => format!("the leader at {url} does not know it"),
                                failure => format!("the leader at {url} does not answer: {failure}"),
                            }
                        }
                    },
                    None if Instant::now() >= leader_until && is_open => {
                        return Err(unknown("no majority of the nodes answers"));
                    }
                    None if Instant::now() >= leader_until => {
                        return Err(Turned::Unavailable(NO_MAJORITY.to_owned()));
                    }
                    None => NO_MAJORITY.to_owned(),
                },
            };
            if Instant::now() + PAUSE >= self.until {
                return Err(match is_open {
                    true => unknown(&why),
                    false => Turned::Unavailable(format!("nothing was changed in time: {why}")),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    async fn ask_here(&self, wish: &Wish) -> Result<Settled, Turned> {
        let asked = ask_anyway(&self.inside.change, |reply| ChangeMembers { wish: wish.clone(), reply });
        match tokio::time::timeout(self.left(), asked).await {
            Ok(Ok(settled)) => Ok(settled),
            Ok(Err(_)) => Err(unknown("this node is stopping")),
            Err(_) => Err(unknown("it takes too long")),
        }
    }

    fn peer_of(&self, leader: RaftId) -> Option<(RaftId, String)> {
        let directory = self.inside.directory.borrow();
        let found = directory.nodes.iter().find(|listed| listed.node.raft_id == leader)?;
        Some((leader, found.node.peer.trim_end_matches('/').to_owned()))
    }

    async fn pass_on(&self, leader: RaftId, url: &str, wish: &Wish) -> Result<Done, Failure> {
        let asked = Asked { wish: wish.clone(), passed_on: true };
        let url = format!("{url}{PATH}");
        tokio::select! {
            answer = post(&url, self.secret, &asked, self.left()) => answer,
            () = self.left_behind(leader) => Err(Failure::NoAnswer("it leads no more".to_owned())),
        }
    }

    /// Returns when this node follows that leader no more, and that one has had the time for a last word.
    async fn left_behind(&self, leader: RaftId) {
        while self.leader().await == Some(leader) {
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(LAST_WORD_MAX).await;
    }

    async fn leader(&self) -> Option<RaftId> {
        ask_anyway(&self.inside.standing, |reply| Standing { reply }).await.ok()?.leader
    }

    /// What another node has changed is to be seen through this one, if it gets that far soon.
    async fn catch_up(&self, wish: &Wish) {
        let is_own_end =
            matches!(wish, Wish::Remove { name } if *name == self.inside.directory.borrow().node);
        if is_own_end || matches!(wish, Wish::Join { .. }) {
            return;
        }
        let passed = ask_anyway(&self.inside.copies.barrier, |reply| ReadBarrier { reply });
        let _done_all_the_same = tokio::time::timeout(self.left().min(CATCH_UP_MAX), passed).await;
    }

    fn admission(&self, raft_id: RaftId, nodes: Vec<chat_actors::membership::Node>) -> Done {
        let directory = self.inside.directory.borrow();
        let (cluster, epoch) = (directory.cluster.clone(), directory.epoch.clone());
        let supersedes = self.inside.supersedes.clone();
        Done {
            says: String::new(),
            admission: Some(Admission { raft_id, cluster, epoch, supersedes, nodes }),
        }
    }

    /// Why the old disk of a name may still be there; `None` when its address no longer answers with it.
    async fn old_disk(&self, wish: &Wish, peer: &str) -> Option<String> {
        let Wish::Join { name, disk: new, .. } = wish else { return None };
        let url = format!("{}{FOUNDING_PATH}", peer.trim_end_matches('/'));
        let asked = client(OLD_ANSWER_MAX).get(url).insert_header(("authorization", self.secret.bearer()));
        let mut response = good(asked.send().await).await.ok()?;
        let answer: Answer = response.json().limit(BYTES_MAX).await.ok()?;
        let cluster = self.inside.cluster.as_str();
        let founded = matches!(&answer.foundation, Foundation::Founded(record) if record.cluster == cluster);
        let old = answer.disk != *new && answer.name == *name && founded;
        old.then(|| format!("{name} at {peer} still answers with its old disk: remove it first"))
    }
}

/// What is said while nobody leads.
pub const NO_MAJORITY: &str = "no majority of the nodes answers: nothing can be changed";

fn unknown(why: &str) -> Turned {
    Turned::Unknown(format!(
        "it is not known whether the change was made ({why}): look at the members, and repeat it"
    ))
}

/// Whether a leader that did not say so may have done what it was asked.
fn may_be_done(failure: &Failure) -> bool {
    match failure {
        Failure::PortClosed | Failure::Refused(_) => false,
        Failure::NoAnswer(_) => true,
        Failure::NotReady(said) => !NOTHING_DONE.contains(&said.code.as_str()),
    }
}

/// Checks names and addresses as strictly as settings are, and gives them their one spelling: what a program sends here
/// goes into the log of every node.
fn put_in_form(wish: &mut Wish) -> Result<(), Turned> {
    let (Wish::Add { name, peer, public, .. } | Wish::Join { name, peer, public, .. }) = wish else {
        // Of names that nobody has nothing is written.
        return Ok(());
    };
    (*peer, *public) = addresses(name, peer, public).map_err(bad)?;
    match wish {
        Wish::Join { disk, .. } if !is_disk(disk) => {
            Err(bad(format!("disk is {disk:?}, must be the hexadecimal digits that were drawn with a file")))
        }
        _ => Ok(()),
    }
}

fn is_disk(text: &str) -> bool {
    (1..=DISK_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name or an address that no node has.
#[derive(Debug, thiserror::Error)]
#[error("{field} {says}")]
pub struct OutOfForm {
    pub field: &'static str,
    pub says: String,
}

/// The two addresses of a node, in the one spelling that it will give itself.
///
/// # Errors
/// [`OutOfForm`].
pub fn addresses(name: &str, peer: &str, public: &str) -> Result<(String, String), OutOfForm> {
    let wrong = |field, says: String| Err(OutOfForm { field, says });
    if !is_name(name) {
        return wrong("name", format!("is {name:?}, must be 1 to 32 of a-z 0-9 . _ -"));
    }
    let url = |text: &str| HttpUrl::parse(text).filter(|url| !url.is_wildcard());
    let Some(peer_url) = url(peer).filter(|url| !url.is_secure()) else {
        return wrong("peer", format!("is {peer:?}, must be a URL such as http://10.0.0.4:8201"));
    };
    let Some(public_url) = url(public) else {
        return wrong("public", format!("is {public:?}, must be a URL such as https://chat4.example"));
    };
    if peer_url == public_url {
        return wrong("public", format!("is {public_url}, must be another address than the other nodes use"));
    }
    Ok((peer_url.to_string(), public_url.to_string()))
}

/// Posts JSON to another node, and reads what it says when it is done.
///
/// # Errors
/// [`Failure`].
pub async fn post<T: Serialize>(
    url: &str,
    secret: &Secret,
    asked: &T,
    answer_max: Duration,
) -> Result<Done, Failure> {
    let request = client(answer_max).post(url).insert_header(("authorization", secret.bearer()));
    let mut response = good(request.send_json(asked).await).await?;
    let done = response.json::<Done>().limit(1024 * 1024).await;
    done.map_err(|error| Failure::NoAnswer(format!("its answer cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
