//! `RaftNode` ↔ `StateFetch`: the state of another replica, for one that lags behind every log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{At, LogIndex, RaftId, Term};
use crate::messages::disk::Install;
use crate::post;

/// A leader has no log for this node any more and offers the state as of an entry instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub from: RaftId,
    pub term: Term,
    pub index: LogIndex,
}

/// Asks for the state as of that entry or a later one; news of it is [`StateHere`]. Asked again, it
/// replaces what was asked before.
#[derive(Clone, Copy, Debug)]
pub struct FetchState {
    pub offer: Offer,
}

/// The state is in the tables, or is not needed any more: what was fetched is thrown away.
pub struct FetchOver;

/// The nodes that can be asked: all others, by their peer URLs.
pub struct Sources {
    pub urls: BTreeMap<RaftId, String>,
}

/// All pages are on this disk and whole.
#[derive(Clone, Debug)]
pub struct StateHere {
    pub install: Install,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Every row up to here has come …
    pub at: At,
    /// … of as many.
    pub of: At,
}

/// News of a transfer to this node; `None`: it is over.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    pub transfer: Option<Transfer>,
}

post! {
    FetchState => "fetch_state",
    FetchOver => "fetch_over",
    Sources => "sources",
    StateHere => "state_here",
    Fetched => "fetched",
}
