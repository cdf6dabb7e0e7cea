//! One client, and the requests that WebSocket and HTTP share.
//!
//! - [`request`]: frames and bodies → typed requests, with exact error texts.
//! - `forms`: the fields of each op, as they come.
//! - [`fields`]: which field of which op is wrong, in words.
//! - [`reply`]: answers and problems as the JSON of the contract.
//! - [`limits`]: who may ask how often.
//! - [`pulse`]: when a client is pinged, and when it is given up.
//! - [`executor`]: carries out requests; shared by all sessions and by HTTP.
//! - [`accounts`]: `hello`, `register`, `login` and the changes that need a password.
//! - [`files`]: sending files, linking to them, and who may fetch them.
//! - [`bots`]: the tokens of bots, and what their rights let them do.
//! - [`caller`]: from where and by what program somebody comes.
//! - [`import`]: what operators bring from elsewhere.
//! - [`links`]: sessions as their user sees them, and the links that let somebody in.
//! - [`subscriptions`]: where the messages of a room are posted.
//! - [`actor`]: `Session`, one WebSocket.
//! - [`listener`]: `Listener`, who is told events over HTTP.

pub mod accounts;
pub mod actor;
pub mod bots;
pub mod caller;
pub mod executor;
pub mod fields;
pub mod files;
mod forms;
pub mod import;
pub mod limits;
pub mod links;
pub mod listener;
mod place;
pub mod pulse;
pub mod reply;
pub mod request;
mod stream;
pub mod subscriptions;
#[cfg(test)]
mod testing;

pub use actor::{Opened, Session, SessionConfig};
pub use caller::Caller;
pub use executor::{Config, Executor, Ports};
pub use listener::{Heard, Listener};
