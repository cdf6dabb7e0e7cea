//! Links to files that are good for a few minutes, on every node, without a token: for `<img>` and the like.
//!
//! A link says for whom it was made. It is no permission by itself: who follows it sees what that user may
//! see at that moment. Pure: the key comes from the cluster's secret, the time is an input.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::names::{clean, escaped};
use crate::ids::FileId;
use crate::peer_link::secret::Secret;

type Signer = Hmac<Sha256>;

/// How long a link is good.
pub const GOOD_FOR_MS: u64 = 10 * 60 * 1000;
pub const PATH: &str = "/api/v1/files";

/// What signs the links of one cluster.
#[derive(Clone)]
pub struct LinkKey {
    signer: Signer,
}

/// What a link says besides the file and the name in its path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Claim {
    pub by: String,
    /// Unix milliseconds.
    pub until: u64,
    /// Hexadecimal.
    pub sig: String,
}

impl LinkKey {
    /// The same on every node of a cluster, another one in every other cluster.
    pub fn new(secret: &Secret, cluster: &str) -> Self {
        let mut key = signer(secret.reveal().as_bytes());
        key.update(b"links to files\0");
        key.update(cluster.as_bytes());
        Self { signer: signer(&key.finalize().into_bytes()) }
    }

    /// The path and query of a link that `user` may hand to a browser until then.
    pub fn link(&self, file: FileId, name: &str, user: &str, until_ms: u64) -> String {
        let signature = hex::encode(self.signed(file, name, user, until_ms).finalize().into_bytes());
        // No user's name has a character that would be escaped.
        format!("{PATH}/{file}/{}?by={user}&until={until_ms}&sig={signature}", escaped(name))
    }

    /// Whether a link was made by a node of this cluster and is still good. Compares in constant time.
    pub fn is_good(&self, file: FileId, name: &str, claim: &Claim, now_ms: u64) -> bool {
        let Ok(signature) = hex::decode(&claim.sig) else { return false };
        let is_ours = self.signed(file, name, &claim.by, claim.until).verify_slice(&signature).is_ok();
        is_ours && now_ms < claim.until
    }

    fn signed(&self, file: FileId, name: &str, user: &str, until_ms: u64) -> Signer {
        let mut signer = self.signer.clone();
        signer.update(&file.0);
        signer.update(&until_ms.to_be_bytes());
        // A user's name has no line feed, and neither has a clean name.
        signer.update(user.as_bytes());
        signer.update(b"\n");
        signer.update(clean(name).as_bytes());
        signer
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

fn signer(key: &[u8]) -> Signer {
    Signer::new_from_slice(key).expect("hmac takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId([7; 32]);

    fn key(secret: &str, cluster: &str) -> LinkKey {
        LinkKey::new(&Secret::new(secret), cluster)
    }

    fn claim(link: &str) -> Claim {
        let query = link.split_once('?').unwrap().1;
        let field = |name: &str| {
            query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
        };
        Claim { by: field("by"), until: field("until").parse().unwrap(), sig: field("sig") }
    }

    #[test]
    fn a_link_is_good_on_every_node_for_a_while_and_only_as_it_is() {
        let key = key("secret", "c1");
        let link = key.link(FILE, "a b.png", "ann", 1000);
        assert!(
            link.starts_with(&format!("/api/v1/files/{FILE}/a%20b.png?by=ann&until=1000&sig=")),
            "{link}"
        );
        let good = claim(&link);
        let same = LinkKey::new(&Secret::new("secret"), "c1");
        assert!(same.is_good(FILE, "a b.png", &good, 999));
        assert!(!same.is_good(FILE, "a b.png", &good, 1000), "it has ended");
        assert!(!same.is_good(FileId([8; 32]), "a b.png", &good, 999));
        assert!(!same.is_good(FILE, "a.html", &good, 999));
        for wrong in [
            Claim { by: "bob".into(), ..good.clone() },
            Claim { until: 2000, ..good.clone() },
            Claim { sig: String::new(), ..good.clone() },
            Claim { sig: "zz".into(), ..good.clone() },
            Claim { sig: good.sig[2..].into(), ..good.clone() },
        ] {
            assert!(!same.is_good(FILE, "a b.png", &wrong, 999), "{wrong:?}");
        }
    }

    #[test]
    fn another_secret_or_cluster_signs_otherwise() {
        let link = key("secret", "c1").link(FILE, "a", "ann", 1000);
        for other in [key("other", "c1"), key("secret", "c2")] {
            assert!(!other.is_good(FILE, "a", &claim(&link), 0));
        }
    }
}
