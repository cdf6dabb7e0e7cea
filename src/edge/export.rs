//! `GET /api/v1/export`: what somebody may see, as lines of JSON to take elsewhere; behind the peer port the
//! same for operators, of everybody or of one user.
//!
//! The lines are read a page at a time, as whoever asks takes them. An answer that was cut off lacks its last
//! line, of the type `end`.

use std::collections::HashSet;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chat_actors::bus::{Port, Post, ask, ask_anyway};
use chat_actors::chat::outcome::Code;
use chat_actors::chat::portable::{End, FORMAT, Header, Line, Place, VERSION};
use chat_actors::ids::At;
use chat_actors::messages::consensus::ReadBarrier;
use chat_actors::messages::reading::{ExportPage, ExportedPage, ReadFailed, TablesAt};
use chat_actors::session::Executor;
use chat_actors::session::bots::READ;
use chat_actors::session::reply::Problem;
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::api::{token, with_inside};
use super::downloads::bearer;
use super::gate::{Gate, Inside, problem, until_out};
use super::peer::{PeerEdge, Turned};
use super::ws::socket;

/// Where operators ask.
pub const PATH: &str = "/peer/export";

/// How many are given out at the same time through one door.
const EXPORTS_MAX: usize = 4;
const PAGE_BYTES: usize = 64 * 1024;
/// How long a majority may take to say how far it is, and the tables to say anything.
const BARRIER_MAX: Duration = Duration::from_secs(3);
const PAGE_MAX: Duration = Duration::from_secs(10);
/// Whoever takes nothing for so long is taken for gone.
const STILL_MAX: Duration = Duration::from_secs(60);

/// Whom an export asks.
#[derive(Clone)]
pub struct ExportPorts {
    pub barrier: Port<ReadBarrier>,
    pub tables_at: Port<TablesAt>,
    pub page: Port<ExportPage>,
}

/// Turns for those who want one: a few at the same time, and each of the people one.
pub struct Exports {
    turns: Arc<Semaphore>,
    people: Arc<Mutex<HashSet<String>>>,
}

/// One of them, until it is dropped.
struct Turn {
    person: Option<String>,
    people: Arc<Mutex<HashSet<String>>>,
    _one_of_few: OwnedSemaphorePermit,
}

impl Default for Exports {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(EXPORTS_MAX)), people: Arc::default() }
    }
}

impl Exports {
    /// `person`: nobody, for operators.
    fn take(&self, person: Option<String>) -> Result<Turn, Problem> {
        let busy = |what| Problem::rate_limited(what, 5_000);
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| busy("too many exports are under way on this node"))?;
        if let Some(person) = &person
            && !locked(&self.people).insert(person.clone())
        {
            return Err(busy("an export of yours is under way on this node: take that to its end"));
        }
        Ok(Turn { person, people: Arc::clone(&self.people), _one_of_few: turn })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(person) = &self.person {
            locked(&self.people).remove(person);
        }
    }
}

/// Names that are there or not: a panic leaves nothing halfway.
fn locked(people: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    people.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn for_people(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    with_inside(&request, &gate, "GET", async |inside| match *request.method() {
        Method::GET => Some(of_oneself(&request, &gate, inside).await.unwrap_or_else(|why| problem(&why))),
        _ => None,
    })
    .await
}

async fn of_oneself(
    request: &HttpRequest,
    gate: &web::Data<Gate>,
    inside: &Inside,
) -> Result<HttpResponse, Problem> {
    let under_way = gate.begin()?;
    let user = bearer(request, inside, READ).await?.user;
    let asker = Some((Arc::clone(&inside.executor), token(request)?));
    let epoch = inside.directory.borrow().epoch.clone();
    let export = Export::begin(&inside.export, &inside.exports, epoch, Some(user), asker).await?;
    if let Some(socket) = socket(request) {
        actix_web::rt::spawn(end_when_still(export.taken.subscribe(), socket, STILL_MAX));
    }
    Ok(answer(until_out(export.lines(), gate.clone(), under_way)))
}

/// Ends the connection of whoever takes nothing for so long: the answer stands as still as they do, and only
/// from outside it is seen that nobody reads it.
async fn end_when_still(mut taken: watch::Receiver<()>, socket: Arc<TcpStream>, still_max: Duration) {
    loop {
        match tokio::time::timeout(still_max, taken.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_ended)) => return,
            Err(_still) => {
                tracing::info!("an export that nobody reads is ended");
                let _ended_by_itself = socket.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Whose {
    user: Option<String>,
}

pub(super) async fn for_operators(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    whose: web::Query<Whose>,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let inside = edge.inside()?;
    let epoch = inside.directory.borrow().epoch.clone();
    let user = whose.into_inner().user;
    let export = Export::begin(&inside.export, &inside.exports, epoch, user, None).await;
    export.map(|export| answer(export.lines())).map_err(|why| match why.code {
        Code::NotFound => Turned::Conflict(why.message),
        Code::Internal => Turned::Failed(why.message),
        _ => Turned::Unavailable(why.message),
    })
}

fn answer(lines: impl Stream<Item = io::Result<Bytes>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"export.jsonl\""))
        .streaming(lines)
}

/// One on its way.
struct Export {
    page: Port<ExportPage>,
    user: Option<String>,
    /// Asked before each page whether the session is still good.
    asker: Option<(Arc<Executor>, String)>,
    up_to: At,
    counted: End,
    /// What was read and is to be sent next.
    read: Option<Bytes>,
    next: Option<Place>,
    ended: bool,
    /// Something was taken.
    taken: watch::Sender<()>,
    _turn: Turn,
}

impl Export {
    /// Finds out up to where it goes, and reads the first page: what is wrong must be known before the
    /// answer begins.
    async fn begin(
        ports: &ExportPorts,
        exports: &Exports,
        epoch: String,
        user: Option<String>,
        asker: Option<(Arc<Executor>, String)>,
    ) -> Result<Self, Problem> {
        let turn = exports.take(user.clone().filter(|_| asker.is_some()))?;
        let passed = ask_anyway(&ports.barrier, |reply| ReadBarrier { reply });
        let majority = matches!(tokio::time::timeout(BARRIER_MAX, passed).await, Ok(Ok(Ok(()))));
        let at = read(&ports.tables_at, |reply| TablesAt { reply }).await?.at;
        let (format, version) = (FORMAT.to_owned(), VERSION);
        let header = Header { format, version, epoch, at, user: user.clone(), majority };
        let mut export = Self {
            page: ports.page.clone(),
            user,
            asker,
            up_to: at,
            counted: End::default(),
            read: None,
            next: Some(Place::start()),
            ended: false,
            taken: watch::Sender::new(()),
            _turn: turn,
        };
        let first = export.more().await?.unwrap_or_default();
        export.read = Some([written(&Line::Header(header))?, first].concat().into());
        Ok(export)
    }

    fn lines(self) -> impl Stream<Item = io::Result<Bytes>> + 'static {
        stream::unfold(self, |mut export| async move {
            export.taken.send_replace(());
            let lines = match export.read.take() {
                Some(lines) => Ok(lines),
                None => export.more().await.transpose()?,
            };
            if let Err(why) = &lines {
                tracing::warn!(why = %why.message, "an export is cut off");
            }
            Some((lines.map_err(|why| io::Error::other(why.message)), export))
        })
    }

    /// The next lines; none when all were told.
    async fn more(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(after) = self.next.take() {
            if let Some((executor, token)) = &self.asker {
                executor.session_of(token).await?;
            }
            let (user, up_to) = (self.user.clone(), self.up_to);
            let page = |reply| ExportPage { user, after, up_to, bytes_max: PAGE_BYTES, reply };
            let no_such_user = || Problem::new(Code::NotFound, "no such user");
            let ExportedPage { text, counted, next } =
                read(&self.page, page).await?.ok_or_else(no_such_user)?;
            self.counted.add(counted);
            self.next = next;
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
        match std::mem::replace(&mut self.ended, true) {
            true => Ok(None),
            false => Ok(Some(written(&Line::End(self.counted))?)),
        }
    }
}

fn written(line: &Line) -> Result<Bytes, Problem> {
    let mut text = serde_json::to_vec(line).map_err(|error| {
        tracing::error!(%error, "a line cannot be written");
        Problem::internal()
    })?;
    text.push(b'\n');
    Ok(text.into())
}

async fn read<M: Post, T>(
    port: &Port<M>,
    question: impl FnOnce(oneshot::Sender<Result<T, ReadFailed>>) -> M,
) -> Result<T, Problem> {
    match tokio::time::timeout(PAGE_MAX, ask(port, question)).await {
        Ok(Ok(Ok(found))) => Ok(found),
        Ok(Ok(Err(_failed))) => Err(Problem::internal()),
        Ok(Err(unanswered)) => Err(unanswered.into()),
        Err(_late) => Err(Problem::timeout()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_few_at_a_time_and_each_of_the_people_one() {
        let exports = Exports::default();
        let take = |person: Option<&str>| exports.take(person.map(str::to_owned));
        let ann = take(Some("ann")).unwrap();
        assert_eq!(take(Some("ann")).err().map(|why| why.code), Some(Code::RateLimited));
        let others = [take(Some("bob")), take(None), take(None)];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(take(Some("cleo")).err().map(|why| why.code), Some(Code::RateLimited));
        drop(ann);
        assert!(take(Some("ann")).is_ok());
    }

    #[actix_web::test]
    async fn who_takes_nothing_is_cut_off_and_who_has_all_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Arc::new(listener.accept().unwrap().0);
        reader.set_nonblocking(true).unwrap();
        let taken = watch::Sender::new(());
        let whole = taken.subscribe();
        drop(taken);
        end_when_still(whole, Arc::clone(&socket), Duration::from_secs(60)).await;
        let open = reader.read(&mut [0]).unwrap_err();
        assert_eq!(open.kind(), io::ErrorKind::WouldBlock);

        let taken = watch::Sender::new(());
        end_when_still(taken.subscribe(), Arc::clone(&socket), Duration::from_millis(1)).await;
        reader.set_nonblocking(false).unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}
