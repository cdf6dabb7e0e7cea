//! From where and by what program somebody comes, before it is known who.

use std::net::{IpAddr, Ipv6Addr};

use crate::chat::rules;

/// The bits of an IPv6 address that its owner does not choose.
const NETWORK_BITS: u32 = 64;

#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Those that one person may well have at hand are one: what is counted by address is counted by this.
    pub address: Option<IpAddr>,
    /// What the program says of itself, fit to be shown.
    pub agent: String,
}

impl Caller {
    pub fn new(address: Option<IpAddr>, agent: Option<&str>) -> Self {
        Self { address: address.map(network), agent: rules::agent(agent.unwrap_or_default()) }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << NETWORK_BITS)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_address() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("::1", "::"),
        ] {
            let caller = Caller::new(Some(address.parse().unwrap()), None);
            assert_eq!(caller.address, Some(counted.parse().unwrap()), "{address}");
        }
    }
}
