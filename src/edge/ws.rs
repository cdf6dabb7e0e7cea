//! WebSockets: `GET /ws`.

use std::any::Any;
use std::cell::Cell;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Extensions;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::WsResponseBuilder;
use chat_actors::chat::outcome::Code;
use chat_actors::session::reply::Problem;
use chat_actors::session::{Caller, Opened, Session, SessionConfig};

use super::api::foreign;
use super::frames;
use super::gate::{Gate, Worker, problem};
use super::origin::{self, Origin};

/// A duplicate of a connection's socket: the way to end it when its session is frozen.
struct Duplicate(Arc<TcpStream>);

/// Keeps a duplicate of each connection's socket with the connection.
pub fn on_connect(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(socket) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
    // Without it the connection works; only a frozen client stays until the system notices.
    if let Ok(duplicate) = socket.as_fd().try_clone_to_owned() {
        extensions.insert(Duplicate(Arc::new(TcpStream::from(duplicate))));
    }
}

/// The way to end the connection of a request from another thread.
pub fn socket(request: &HttpRequest) -> Option<Arc<TcpStream>> {
    request.conn_data::<Duplicate>().map(|Duplicate(socket)| Arc::clone(socket))
}

/// From where and by what program a request comes.
pub fn caller(request: &HttpRequest) -> Caller {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Caller::new(request.peer_addr().map(|address| address.ip()), agent)
}

pub async fn open(
    request: HttpRequest,
    body: web::Payload,
    gate: web::Data<Gate>,
    worker: web::ThinData<Rc<Worker>>,
) -> HttpResponse {
    let inside = match gate.inside() {
        Ok(inside) => inside,
        Err(shut) => return shut,
    };
    if origin::of(&request, &inside.directory.borrow()) == Origin::Foreign {
        return problem(&foreign());
    }
    let config = SessionConfig {
        executor: Arc::clone(&inside.executor),
        door: worker.door(inside, &gate.metrics),
        metrics: gate.metrics.clone(),
        ping_every: inside.ping_every,
    };
    let opened =
        Opened { caller: caller(&request), socket: socket(&request), too_big: Rc::new(Cell::new(false)) };
    let body = frames::Bounded::new(body, gate.frame_bytes, Rc::clone(&opened.too_big));
    let session = Session::new(config, opened);
    match WsResponseBuilder::new(session, &request, body).frame_size(gate.frame_bytes).start() {
        Ok(response) => response,
        Err(error) => problem(&Problem::new(Code::BadRequest, format!("not a websocket request: {error}"))),
    }
}
