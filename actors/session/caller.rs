//! From where and by what program somebody comes, before it is known who.

use std::net::IpAddr;

use crate::chat::rules;

#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub address: Option<IpAddr>,
    /// What the program says of itself, fit to be shown.
    pub agent: String,
}

impl Caller {
    pub fn new(address: Option<IpAddr>, agent: Option<&str>) -> Self {
        Self { address, agent: rules::agent(agent.unwrap_or_default()) }
    }
}
