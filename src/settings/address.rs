//! Addresses to listen on and URLs to be reached at, in one spelling each so that they can be compared.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where a node listens: an IP address or a host name, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress {
    host: Host,
    port: u16,
}

/// How a node is reached: `http://host[:port]` or `https://host[:port]`, with nothing after it.
///
/// Lower case, no default port and no slash at the end: the spelling of a browser's `Origin`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpUrl {
    text: String,
    is_secure: bool,
    is_loopback: bool,
    is_wildcard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

impl BindAddress {
    /// Reads `127.0.0.1:8101`, `[::1]:8101` or `localhost:8101`; `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return (address.port() != 0)
                .then(|| Self { host: Host::Ip(address.ip()), port: address.port() });
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(Self { host: Host::parse(host)?, port: parse_port(port)? })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it listens on every address of the machine.
    pub fn is_wildcard(&self) -> bool {
        self.host.is_wildcard()
    }

    /// Whether only programs on this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }

    /// Whether two listeners cannot both have their address.
    pub fn collides_with(&self, other: &Self) -> bool {
        self.port == other.port && (self.host == other.host || self.is_wildcard() || other.is_wildcard())
    }

    /// The URL under which this address is reached; of no use for a wildcard.
    pub fn url(&self) -> HttpUrl {
        HttpUrl::new(false, &self.host, Some(self.port))
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl HttpUrl {
    /// Reads a URL without a path; one slash at the end is dropped. `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(inner) = authority.strip_prefix('[') {
            let (address, after) = inner.split_once(']')?;
            let host = Host::Ip(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?));
            let port = match after {
                "" => None,
                after => Some(parse_port(after.strip_prefix(':')?)?),
            };
            return Some(Self::new(is_secure, &host, port));
        }
        match authority.split_once(':') {
            Some((host, port)) => Some(Self::new(is_secure, &Host::parse(host)?, Some(parse_port(port)?))),
            None => Some(Self::new(is_secure, &Host::parse(authority)?, None)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https://`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether it leads to this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether it is no address that anybody could connect to, such as `http://0.0.0.0:8101`.
    pub fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }

    fn new(is_secure: bool, host: &Host, port: Option<u16>) -> Self {
        let (scheme, default_port) = if is_secure { ("https", 443) } else { ("http", 80) };
        let text = match port {
            Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        };
        Self { text, is_secure, is_loopback: host.is_loopback(), is_wildcard: host.is_wildcard() }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<std::net::Ipv4Addr>() {
            return Some(Self::Ip(IpAddr::V4(ip)));
        }
        let is_name = !text.is_empty()
            && text.len() <= 253
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && !text.starts_with(['-', '.'])
            // What ends in a number is an IPv4 address gone wrong, such as 127.0.0.256.
            && !text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    fn is_wildcard(&self) -> bool {
        matches!(self, Self::Ip(ip) if ip.to_canonical().is_unspecified())
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(ip) => ip.to_canonical().is_loopback(),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_one_spelling() {
        for (given, spelled) in [
            ("http://127.0.0.1:8101", "http://127.0.0.1:8101"),
            ("HTTP://Chat.Example.ORG:80", "http://chat.example.org"),
            ("https://chat.example.org:443/", "https://chat.example.org"),
            ("https://chat.example.org:8443", "https://chat.example.org:8443"),
            ("http://[0:0::1]:8101", "http://[::1]:8101"),
        ] {
            assert_eq!(HttpUrl::parse(given).unwrap().as_str(), spelled, "{given}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "127.0.0.1:8101",
            "ftp://a",
            "http://",
            "http:///",
            "http://a/b",
            "http://a//",
            "http://a?b",
            "http://a#b",
            "http://me@a",
            "http://a:0",
            "http://a:65536",
            "http://a:+80",
            "http://a:",
            "http://a b",
            "http://127.0.0.256",
            "http://[::1",
            "http://[::1]x",
            "ws://a",
        ] {
            assert_eq!(HttpUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_to_listen_on() {
        for (text, wildcard, loopback) in [
            ("127.0.0.1:8101", false, true),
            ("127.9.9.9:1", false, true),
            ("[::1]:8101", false, true),
            ("localhost:8101", false, true),
            ("0.0.0.0:8101", true, false),
            ("[::]:8101", true, false),
            ("[::ffff:0.0.0.0]:8101", true, false),
            ("10.0.0.7:8101", false, false),
            ("chat1.example.org:8101", false, false),
        ] {
            let bind = BindAddress::parse(text).unwrap();
            assert_eq!((bind.is_wildcard(), bind.is_loopback()), (wildcard, loopback), "{text}");
        }
        for text in [
            "",
            "8101",
            "127.0.0.1",
            ":8101",
            "127.0.0.1:0",
            "127.0.0.1:99999",
            "http://127.0.0.1:1",
            "::1:8101",
        ] {
            assert_eq!(BindAddress::parse(text), None, "{text}");
        }
        assert_eq!(BindAddress::parse("[::1]:8101").unwrap().url().as_str(), "http://[::1]:8101");
    }

    #[test]
    fn listeners_collide() {
        let bind = |text| BindAddress::parse(text).unwrap();
        assert!(bind("127.0.0.1:1").collides_with(&bind("127.0.0.1:1")));
        assert!(bind("127.0.0.1:1").collides_with(&bind("0.0.0.0:1")));
        assert!(!bind("127.0.0.1:1").collides_with(&bind("127.0.0.1:2")));
        assert!(!bind("127.0.0.1:1").collides_with(&bind("127.0.0.2:1")));
    }
}
