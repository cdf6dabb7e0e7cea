//! Message ids that tell who sent them and when: UUIDv7s whose free bits are put to use.
//!
//! So delivery is measured without a look at the text, which may be a single byte.

/// The bits that hold the microseconds since the run began: twelve days.
const SENT_BITS: u32 = 40;
const CLIENT_BITS: u32 = 22;

/// The length of an id in a frame.
pub const ID_BYTES: usize = 36;

/// One sending of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// 12 bits that tell this run from others.
    pub run: u16,
    pub client: u32,
    pub sent_us: u64,
}

impl Stamp {
    /// The id, given the Unix time that makes ids of a run ascend.
    pub fn id(self, unix_ms: u64) -> String {
        let free = (u64::from(self.client) & ((1 << CLIENT_BITS) - 1)) << SENT_BITS
            | self.sent_us & ((1 << SENT_BITS) - 1);
        let (high, low) = (free >> 48 | 0x8000, free & 0xffff_ffff_ffff);
        let run = self.run & 0xfff;
        format!(
            "{:08x}-{:04x}-7{run:03x}-{high:04x}-{low:012x}",
            unix_ms >> 16 & 0xffff_ffff,
            unix_ms & 0xffff
        )
    }

    /// Reads an id back; `None` if it is not one of ours.
    pub fn read(id: &[u8]) -> Option<Self> {
        if id.len() != ID_BYTES || id[14] != b'7' || id[18] != b'-' || id[23] != b'-' {
            return None;
        }
        let run = u16::try_from(hex(&id[15..18])?).ok()?;
        let free = (hex(&id[19..23])? & 0x3fff) << 48 | hex(&id[24..])?;
        let client = u32::try_from(free >> SENT_BITS).ok()?;
        Some(Self { run, client, sent_us: free & ((1 << SENT_BITS) - 1) })
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (run, client, sent_us) in
            [(0, 0, 0), (0xfff, 100_000, 86_400_000_000), (5, (1 << 22) - 1, (1 << 40) - 1)]
        {
            let stamp = Stamp { run, client, sent_us };
            let id = stamp.id(1_700_000_000_000);
            assert_eq!(id.len(), ID_BYTES);
            assert!(id.starts_with("018bcfe5-6800-7"), "{id}");
            assert_eq!(Stamp::read(id.as_bytes()), Some(stamp));
        }
    }

    #[test]
    fn what_others_send() {
        for id in ["", "m1", "018bcfe5-6800-4000-8000-000000000000", "018bcfe5-6800-7000-8000-00000000000G"] {
            assert_eq!(Stamp::read(id.as_bytes()), None, "{id}");
        }
    }
}
