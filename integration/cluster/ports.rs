//! Ports for nodes that are killed and started again.
//!
//! They are taken below the range from which the system draws ports for outgoing connections: while
//! a node is down nobody may get its port by chance.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_240;
/// Below 32768, where Linux begins by default.
const COUNT: u32 = 22_000;

/// A port that nothing listens on, and that this process has given to no one else.
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another run of these tests on the same machine begins elsewhere.
    let start = std::process::id().wrapping_mul(2_654_435_761) % COUNT;
    for _ in 0..COUNT {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (start + number) % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}

/// So many ports in a row, all free.
pub fn free_row(count: u16) -> u16 {
    let mut first = free();
    let mut length = 1;
    while length < count {
        let port = free();
        if port == first + length {
            length += 1;
        } else {
            (first, length) = (port, 1);
        }
    }
    first
}
