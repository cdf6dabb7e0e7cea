//! The people's server: every route, and the measuring of requests.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::{ServerHandle, Service};
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use chat_actors::metrics::Metrics;
use chat_actors::session::request::OPS;

use super::gate::{Gate, Worker};
use super::{api, downloads, events, export, hooks, openapi, operators, page, uploads, ws};

const KEEP_ALIVE: Duration = Duration::from_secs(75);
const CONNECTIONS_MAX: usize = 25_000;

/// Starts the server; until the gate is opened it answers only that it is not ready.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(gate: &Arc<Gate>, listener: TcpListener, workers: usize) -> anyhow::Result<ServerHandle> {
    let gate = Arc::clone(gate);
    // There from the start: a family without a child is not shown.
    let _there = gate.metrics.http_request_seconds.with_label_values(&["/metrics", "200"]);
    for actor in ["hub", "hub_shard", "session", "listener"] {
        gate.metrics.has_not_panicked(actor);
    }
    let server = HttpServer::new(move || {
        let metrics = gate.metrics.clone();
        App::new()
            .app_data(web::Data::from(Arc::clone(&gate)))
            .app_data(web::ThinData(Rc::new(Worker::default())))
            .wrap_fn(move |request, service| {
                let (metrics, label, started) = (metrics.clone(), label(request.path()), Instant::now());
                let answering = service.call(request);
                async move {
                    let response = answering.await?;
                    measure(&metrics, label, response.status().as_u16(), started);
                    Ok(response)
                }
            })
            .route("/ws", web::to(ws::open))
            .route("/health/live", web::get().to(operators::live))
            .route("/health/live", web::head().to(operators::live))
            .route("/health/ready", web::get().to(operators::ready))
            .route("/health/ready", web::head().to(operators::ready))
            .route("/metrics", web::get().to(operators::metrics))
            .route("/metrics", web::head().to(operators::metrics))
            .route("/api/v1/cluster", web::to(operators::cluster))
            .route("/api/v1/events", web::to(events::open))
            .route("/api/v1/hooks/{token}", web::to(hooks::post))
            .route("/api/v1/openapi.json", web::to(openapi::describe))
            .route("/api/v1/export", web::to(export::for_people))
            .route("/api/v1/files", web::to(uploads::whole))
            .route("/api/v1/files/{path:.*}", web::to(downloads::serve))
            .route("/api/v1/uploads", web::to(uploads::begin))
            .route("/api/v1/uploads/{id}", web::to(uploads::go_on))
            .route("/api/v1/{op:.*}", web::to(api::op))
            .default_service(web::to(page::serve))
    })
    .workers(workers)
    .max_connections(CONNECTIONS_MAX)
    .keep_alive(KEEP_ALIVE)
    .tcp_nodelay(true)
    .on_connect(ws::on_connect)
    .disable_signals()
    .listen(listener)
    .context("cannot serve people")?
    .run();
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}

/// The path, of which there are few: one that anybody can make up is `other`.
fn label(path: &str) -> &'static str {
    match path {
        "/" => "/",
        "/ws" => "/ws",
        "/metrics" => "/metrics",
        "/health/live" => "/health/live",
        "/health/ready" => "/health/ready",
        "/api/v1/cluster" => "/api/v1/cluster",
        "/api/v1/events" => "/api/v1/events",
        "/api/v1/export" => "/api/v1/export",
        "/api/v1/openapi.json" => "/api/v1/openapi.json",
        path if path == "/api/v1/files" || path.starts_with("/api/v1/files/") => "files",
        path if path == "/api/v1/uploads" || path.starts_with("/api/v1/uploads/") => "uploads",
        path if path.starts_with("/api/v1/hooks/") => "/api/v1/hooks",
        path => match path.strip_prefix("/api/v1/") {
            Some(op) => OPS.iter().find(|known| **known == op).copied().unwrap_or("other"),
            None => "page",
        },
    }
}

fn measure(metrics: &Metrics, label: &str, status: u16, started: Instant) {
    let status = status.to_string();
    metrics
        .http_request_seconds
        .with_label_values(&[label, &status])
        .observe(started.elapsed().as_secs_f64());
}
