//! Admins made by whoever runs the cluster, on the peer port: the cluster's secret is enough.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::chat::outcome::Code;
use chat_actors::chat::rules;
use chat_actors::session::links::Appointed;
use chat_actors::session::reply::Problem;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Deserializer, Serialize};

use super::peer::{PeerEdge, Turned, bad, read};

pub const PATH: &str = "/peer/admin";
const BYTES_MAX: usize = 4096;

/// Makes an account of this name an admin, or a link that creates it.
pub type Appoint = Arc<dyn Fn(String) -> LocalBoxFuture<'static, Result<Appointed, Problem>> + Send + Sync>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub name: String,
}

/// What is answered when it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// There was no such account: whoever opens this creates it. Always there, if only as null: an answer without it is
    /// not a node's.
    #[serde(deserialize_with = "given")]
    pub link: Option<String>,
}

fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(from)
}

pub(super) async fn appoint(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let appoint = Arc::clone(&edge.inside()?.appoint);
    let bytes = read(&request, body, BYTES_MAX).await?;
    let Asked { name } = serde_json::from_slice(&bytes).map_err(bad)?;
    let name = rules::name(&name).map_err(|wrong| bad(wrong.message))?;
    match appoint(name).await {
        Ok(Appointed::Admin) => Ok(HttpResponse::Ok().json(Done { link: None })),
        Ok(Appointed::ByLink(link)) => Ok(HttpResponse::Ok().json(Done { link: Some(link) })),
        Err(problem) => Err(turned(problem)),
    }
}

fn turned(problem: Problem) -> Turned {
    match problem.code {
        Code::Timeout => Turned::Unknown("it is not known whether this was done: repeat it".to_owned()),
        Code::Unavailable | Code::RateLimited => Turned::Unavailable(problem.message),
        Code::Internal => Turned::Failed(problem.message),
        _ => Turned::Conflict(problem.message),
    }
}
