//! Whether operations that overlapped in time can be put into one order that explains every outcome, with each
//! operation between its call and its answer (Herlihy and Wing's linearizability).
//!
//! The search is Wing and Gong's: take any operation that may come first, see whether the object allows its outcome,
//! go on with the rest, step back when nothing fits. Lowe's addition keeps it short: a set of taken operations that
//! once led nowhere from the same state is not tried again.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;

/// Far more than any history of ours takes.
const STEPS_MAX: u64 = 20_000_000;

/// What an object allows.
pub trait Model {
    type State: Clone + Eq + Hash;
    type Op;

    fn begin(&self) -> Self::State;

    /// The state after `op` with its outcome; `None`: not here.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether it leaves every state as it is.
    fn is_pure(&self, op: &Self::Op) -> bool;
}

/// An operation and when it was under way.
#[derive(Clone, Debug)]
pub struct Timed<O> {
    pub called: u64,
    /// `None`: there was no answer, so it may take effect at any later time.
    pub answered: Option<u64>,
    /// It did take effect; others may have or not.
    pub must: bool,
    pub op: O,
}

/// Why there is no order, or none was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOrder {
    /// The best try took so many, and none of the rest could follow; this one was answered first among them.
    Stuck {
        taken: usize,
        at: usize,
    },
    TooHard,
}

/// Looks for an order.
///
/// # Errors
/// See [`NoOrder`].
pub fn linearize<M: Model>(model: &M, mut ops: Vec<Timed<M::Op>>) -> Result<(), NoOrder> {
    ops.sort_by_key(|op| op.called);
    let wanted = ops.iter().filter(|op| op.must).count();
    let mut taken = Taken::new(&ops);
    let mut seen = HashSet::new();
    let mut best = NoOrder::Stuck { taken: 0, at: 0 };
    let mut best_count = None;
    let mut path = vec![Place::new(model, model.begin(), &taken, None)];
    for _ in 0..STEPS_MAX {
        if taken.musts == wanted {
            return Ok(());
        }
        let Some(place) = path.last_mut() else { return Err(best) };
        if let Some((next, state)) = place.next.pop() {
            taken.take(next);
            if seen.insert((taken.key(), state.clone())) {
                path.push(Place::new(model, state, &taken, Some(next)));
            } else {
                taken.give_back(next);
            }
            continue;
        }
        if best_count.is_none_or(|count| taken.musts > count) {
            best_count = Some(taken.musts);
            best = NoOrder::Stuck { taken: taken.musts, at: taken.first_answered() };
        }
        if let Some(Place { by: Some(by), .. }) = path.pop() {
            taken.give_back(by);
        }
    }
    Err(NoOrder::TooHard)
}

/// A state on the way, and what may be tried from it.
struct Place<S> {
    by: Option<usize>,
    next: Vec<(usize, S)>,
}

impl<S: Clone + Eq> Place<S> {
    fn new<M: Model<State = S>>(model: &M, state: S, taken: &Taken<'_, M::Op>, by: Option<usize>) -> Self {
        let mut next = Vec::new();
        for candidate in taken.candidates() {
            let op = &taken.ops[candidate];
            if let Some(after) = model.step(&state, &op.op) {
                if op.must && model.is_pure(&op.op) {
                    // What changes nothing may as well stand here: no other place would allow more.
                    return Self { by, next: vec![(candidate, after)] };
                }
                next.push((candidate, after));
            }
        }
        // The last one is tried first: those that are known to have taken effect before those that may have.
        next.sort_by_key(|(candidate, _)| taken.ops[*candidate].must);
        Self { by, next }
    }
}

/// The operations taken so far. All that must be taken and stand before `front` are.
struct Taken<'a, O> {
    ops: &'a [Timed<O>],
    front: usize,
    beyond: BTreeSet<usize>,
    /// Those before `front` that need not be taken, and are not.
    left: BTreeSet<usize>,
    musts: usize,
}

impl<'a, O> Taken<'a, O> {
    fn new(ops: &'a [Timed<O>]) -> Self {
        let mut taken = Self { ops, front: 0, beyond: BTreeSet::new(), left: BTreeSet::new(), musts: 0 };
        taken.advance();
        taken
    }

    /// What tells this set from others.
    fn key(&self) -> (usize, Vec<usize>, Vec<usize>) {
        (self.front, self.beyond.iter().copied().collect(), self.left.iter().copied().collect())
    }

    fn take(&mut self, op: usize) {
        self.musts += usize::from(self.ops[op].must);
        if op < self.front {
            self.left.remove(&op);
        } else {
            self.beyond.insert(op);
            self.advance();
        }
    }

    fn advance(&mut self) {
        while self.front < self.ops.len() {
            if !self.beyond.remove(&self.front) {
                if self.ops[self.front].must {
                    return;
                }
                self.left.insert(self.front);
            }
            self.front += 1;
        }
    }

    fn give_back(&mut self, op: usize) {
        self.musts -= usize::from(self.ops[op].must);
        if op >= self.front {
            self.beyond.remove(&op);
        } else if self.ops[op].must {
            for back in op + 1..self.front {
                if !self.left.remove(&back) {
                    self.beyond.insert(back);
                }
            }
            self.front = op;
        } else {
            self.left.insert(op);
        }
    }

    /// What may come next: all that was called before the first answer to any that is missing.
    fn candidates(&self) -> Vec<usize> {
        let mut candidates: Vec<usize> = self.left.iter().copied().collect();
        let mut first_answer = u64::MAX;
        for (place, op) in self.ops.iter().enumerate().skip(self.front) {
            if op.called > first_answer {
                break;
            }
            if !self.beyond.contains(&place) {
                candidates.push(place);
                first_answer = first_answer.min(op.answered.filter(|_| op.must).unwrap_or(u64::MAX));
            }
        }
        // Found before the first answer was known.
        candidates.retain(|place| self.ops[*place].called <= first_answer);
        candidates
    }

    fn first_answered(&self) -> usize {
        let missing = (self.front..self.ops.len())
            .filter(|&place| self.ops[place].must && !self.beyond.contains(&place));
        missing.min_by_key(|place| self.ops[*place].answered.unwrap_or(u64::MAX)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register that is written, read, and set when it is as expected.
    struct Register;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Write(u8),
        Read(u8),
        Swap(u8, u8),
    }

    impl Model for Register {
        type State = u8;
        type Op = Op;

        fn begin(&self) -> u8 {
            0
        }

        fn step(&self, state: &u8, op: &Op) -> Option<u8> {
            match *op {
                Op::Write(value) => Some(value),
                Op::Read(value) => (*state == value).then_some(value),
                Op::Swap(from, to) => (*state == from).then_some(to),
            }
        }

        fn is_pure(&self, op: &Op) -> bool {
            matches!(op, Op::Read(_))
        }
    }

    fn judge(ops: &[(u64, Option<u64>, Op)]) -> bool {
        let timed = |&(called, answered, op): &(u64, Option<u64>, Op)| Timed {
            called,
            answered,
            must: answered.is_some(),
            op,
        };
        linearize(&Register, ops.iter().map(timed).collect()).is_ok()
    }

    #[test]
    fn a_register() {
        use Op::{Read, Swap, Write};
        let right: &[&[(u64, Option<u64>, Op)]] = &[
            &[],
            &[(1, Some(2), Write(1)), (3, Some(4), Read(1))],
            // While a write is under way, either is fine, in one direction.
            &[(1, Some(9), Write(1)), (2, Some(3), Read(0)), (4, Some(5), Read(1))],
            // One that was never answered may take effect late …
            &[(1, None, Write(1)), (2, Some(3), Read(0)), (8, Some(9), Read(1))],
            // … or never.
            &[(1, None, Write(1)), (8, Some(9), Read(0))],
            &[(1, Some(9), Swap(1, 2)), (2, Some(3), Write(1)), (10, Some(11), Read(2))],
            &[(1, None, Swap(0, 1)), (1, None, Swap(1, 2)), (3, Some(4), Read(2)), (5, None, Write(7))],
        ];
        for ops in right {
            assert!(judge(ops), "{ops:?}");
        }
        let wrong: &[&[(u64, Option<u64>, Op)]] = &[
            &[(1, Some(2), Read(1))],
            &[(1, Some(2), Write(1)), (3, Some(4), Read(0))],
            // Seen, and then not any more.
            &[(1, Some(9), Write(1)), (2, Some(3), Read(1)), (4, Some(5), Read(0))],
            &[(1, None, Write(1)), (2, Some(3), Read(1)), (4, Some(5), Read(0))],
            // Both cannot have found it as it was.
            &[(1, Some(9), Swap(0, 1)), (2, Some(8), Swap(0, 2))],
            // Before it was called.
            &[(1, Some(2), Read(1)), (3, None, Write(1))],
            // One effect for one call.
            &[(1, None, Swap(0, 1)), (2, Some(3), Read(1)), (4, Some(5), Write(0)), (6, Some(7), Read(1))],
        ];
        for ops in wrong {
            assert!(!judge(ops), "{ops:?}");
        }
    }

    /// The search against trying every order, on many small histories.
    #[test]
    fn as_if_every_order_was_tried() {
        fn any_order(ops: &[(u64, Option<u64>, Op)], taken: &mut Vec<usize>, state: u8) -> bool {
            let left: Vec<usize> = (0..ops.len()).filter(|place| !taken.contains(place)).collect();
            if left.iter().all(|place| ops[*place].1.is_none()) {
                return true;
            }
            left.iter().any(|&next| {
                let earlier = left.iter().any(|other| ops[*other].1.is_some_and(|end| end < ops[next].0));
                let Some(after) = Register.step(&state, &ops[next].2).filter(|_| !earlier) else {
                    return false;
                };
                taken.push(next);
                let found = any_order(ops, taken, after);
                taken.pop();
                found
            })
        }
        let mut seed = 1_u64;
        let mut dice = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        let mut found = [0; 2];
        for _ in 0..20_000 {
            let count = dice(6) + 1;
            let mut ops = Vec::new();
            for _ in 0..count {
                let called = dice(12);
                let value = |dice: &mut dyn FnMut(u64) -> u64| u8::try_from(dice(3)).unwrap();
                let op = match dice(3) {
                    0 => Op::Write(value(&mut dice)),
                    1 => Op::Read(value(&mut dice)),
                    _ => Op::Swap(value(&mut dice), value(&mut dice)),
                };
                let answered = (dice(4) > 0).then(|| called + dice(8));
                ops.push((called, answered, op));
            }
            let expected = any_order(&ops, &mut Vec::new(), 0);
            assert_eq!(judge(&ops), expected, "{ops:?}");
            found[usize::from(expected)] += 1;
        }
        assert!(found.iter().all(|count| *count > 1_000), "{found:?}");
    }
}
