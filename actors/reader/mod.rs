//! Questions to the tables: each answered in one short read transaction, beside the writer.
//!
//! - [`pool`]: read-only connections.
//! - [`view`]: the pure core: what one user may see, as of one moment.
//! - [`export`]: all that one may see, or all there is, to take it elsewhere.
//! - `home`: the rooms of one user, and what is unread in them.
//! - [`files`]: which messages hold which files.
//! - [`people`]: the same of sessions, invitations and what admins have set.
//! - [`pull`]: what changed behind a cursor.
//! - [`actor`]: the threads that answer.

pub mod actor;
mod export;
pub mod files;
mod home;
mod people;
pub mod pool;
pub mod pull;
pub mod view;

pub use actor::Reader;
pub use pool::ReadPool;
pub use view::View;
