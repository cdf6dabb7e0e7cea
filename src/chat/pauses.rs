//! When to try again and where: the contract's rules as plain functions, with the dice handed in.

use std::collections::HashSet;

const FIRST_PAUSE_MS: u64 = 500;
const LONGEST_PAUSE_MS: u64 = 15_000;

/// What a close code asks of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterClose {
    Elsewhere,
    Stop,
    LoggedOut,
}

/// The pause before a try in milliseconds: within a random half second at first, then doubling up to 15 s.
pub fn before_try(failures: u32, dice: f64) -> u64 {
    let ceiling = LONGEST_PAUSE_MS.min(FIRST_PAUSE_MS << failures.min(10));
    // Later pauses keep at least half of their length, so that a crowd spreads without hurrying.
    let floor = if failures == 0 { 0 } else { ceiling / 2 };
    floor + scaled(dice, ceiling - floor)
}

/// Which node to try: one that has not failed in this round, better one that the cluster calls up. `None` when every
/// node has failed in this round.
pub fn choose(
    nodes: &[String],
    failed: &HashSet<String>,
    down: &HashSet<String>,
    dice: f64,
) -> Option<String> {
    let left: Vec<&String> = nodes.iter().filter(|node| !failed.contains(*node)).collect();
    let up: Vec<&String> = left.iter().copied().filter(|node| !down.contains(*node)).collect();
    let from = if up.is_empty() { left } else { up };
    let place = usize::try_from(scaled(dice, from.len() as u64)).unwrap_or(0);
    from.get(place).map(|node| (*node).clone())
}

pub fn after_close(code: u16) -> AfterClose {
    match code {
        4503 => AfterClose::LoggedOut,
        1009 | 4500 | 4501 => AfterClose::Stop,
        _ => AfterClose::Elsewhere,
    }
}

/// A number below `bound`, as far along as the dice say.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers that are not negative"
)]
fn scaled(dice: f64, bound: u64) -> u64 {
    (dice * bound as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        for (failures, dice, expected) in [
            (0, 0.0, 0),
            (0, 0.5, 250),
            (0, 0.999, 499),
            (1, 0.0, 500),
            (1, 0.999, 999),
            (5, 0.0, 7500),
            (60, 0.999, 14_992),
        ] {
            assert_eq!(before_try(failures, dice), expected, "{failures} {dice}");
        }
    }

    #[test]
    fn a_node_that_is_up_and_has_not_failed() {
        let nodes: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        for (failed, down, dice, expected) in [
            (&[][..], &[][..], 0.0, Some("a")),
            (&[], &[], 0.99, Some("c")),
            (&["a"], &["b"], 0.0, Some("c")),
            (&["a", "c"], &["b"], 0.5, Some("b")),
            (&["a", "b", "c"], &[], 0.5, None),
        ] {
            assert_eq!(choose(&nodes, &set(failed), &set(down), dice).as_deref(), expected);
        }
    }

    #[test]
    fn what_close_codes_ask_for() {
        for (code, expected) in [
            (1000, AfterClose::Elsewhere),
            (1001, AfterClose::Elsewhere),
            (1009, AfterClose::Stop),
            (4001, AfterClose::Elsewhere),
            (4008, AfterClose::Elsewhere),
            (4500, AfterClose::Stop),
            (4501, AfterClose::Stop),
            (4503, AfterClose::LoggedOut),
        ] {
            assert_eq!(after_close(code), expected, "{code}");
        }
    }
}
