//! Which pages of state have come, and which one is wanted next.
//!
//! Each page goes on where the last one ended, from whatever source, as long as that source is not
//! behind any earlier one: a row that an earlier source had moved beyond the end of a later one would be
//! in no page. When there is no such
//! source any more, all of it begins anew: those that are left may need this node to get any further.

use crate::chat_db::pages::{Header, Position};
use crate::ids::{At, LogIndex};
use crate::messages::disk::Install;

/// So many sources in a row may be behind the horizon.
const BEHIND_MAX: u32 = 5;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The tables that the pages are for stood here or further when the first one was asked for.
    base: At,
    after: At,
    horizon: At,
    pages: u64,
    /// Sources that were behind the horizon, one after the other.
    behind: u32,
    /// What the last page said, when nothing lay behind it.
    whole: Option<Position>,
}

/// Why a page does not go on where the others ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is of another cluster")]
    OtherCluster,
    #[error("it begins at {from}, {after} was asked for")]
    Elsewhere { from: At, after: At },
    #[error("its source is at {at}, behind {horizon}, where an earlier one was")]
    Behind { at: At, horizon: At },
    #[error("it brings nothing and is not the end")]
    Empty,
    #[error("its source has nothing more, and stands at entry {index}, before {wanted}")]
    Short { index: LogIndex, wanted: LogIndex },
}

impl Collected {
    /// Nothing yet, for tables that stand there.
    pub fn nothing(at: At) -> Self {
        Self { base: at, after: at, horizon: at, pages: 0, behind: 0, whole: None }
    }

    /// What an earlier run of this process has collected, if it is of use for these tables.
    pub fn again(heads: impl Iterator<Item = Header>, own: &Position) -> Self {
        let mut heads = heads.peekable();
        let Some(base) = heads.peek().map(|first| first.from) else { return Self::nothing(own.at) };
        let mut collected = Self::nothing(base);
        for head in heads {
            if collected.take(&head, own, LogIndex(0)).is_err() {
                break;
            }
        }
        if base > own.at || collected.after <= own.at { Self::nothing(own.at) } else { collected }
    }

    /// Behind which `at` the next page begins.
    pub fn after(&self) -> At {
        self.after
    }

    /// No source may be behind this.
    pub fn horizon(&self) -> At {
        self.horizon
    }

    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Adds the next page; the state is wanted as of that entry or a later one. A source that has nothing more and
    /// does not come so far is as much behind as this node: two of them would ask each other for ever.
    ///
    /// # Errors
    /// [`Unfit`]: it is to be asked for again, or elsewhere.
    pub fn take(&mut self, head: &Header, own: &Position, wanted: LogIndex) -> Result<(), Unfit> {
        let position = &head.position;
        if (&position.cluster, &position.epoch) != (&own.cluster, &own.epoch) {
            return Err(Unfit::OtherCluster);
        }
        if head.from != self.after {
            return Err(Unfit::Elsewhere { from: head.from, after: self.after });
        }
        if position.at < self.horizon {
            return Err(Unfit::Behind { at: position.at, horizon: self.horizon });
        }
        if head.up_to <= head.from && !head.end {
            return Err(Unfit::Empty);
        }
        if head.up_to <= head.from && position.index < wanted {
            return Err(Unfit::Short { index: position.index, wanted });
        }
        (self.after, self.horizon) = (head.up_to, position.at);
        self.pages += 1;
        self.behind = 0;
        self.whole = head.end.then(|| position.clone());
        Ok(())
    }

    /// A source that is behind the horizon was asked. After a few of them in a row there is nothing any
    /// more, for tables that stand there.
    pub fn source_behind(&mut self, at: At) {
        self.behind += 1;
        if self.behind > BEHIND_MAX {
            *self = Self::nothing(at);
        }
    }

    /// What to install, when these pages bring the tables as far as that entry.
    pub fn install(&self, index: LogIndex) -> Option<Install> {
        let position = self.whole.clone().filter(|position| position.index >= index)?;
        Some(Install { position, pages: self.pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(at: u64) -> Position {
        Position { cluster: "c".into(), epoch: "e".into(), at: At(at), ..Position::default() }
    }

    fn head(from: u64, up_to: u64, source_at: u64) -> Header {
        Header {
            layout: 1,
            format: 1,
            from: At(from),
            up_to: At(up_to),
            end: up_to == source_at,
            position: Position { index: LogIndex(source_at + 100), ..own(source_at) },
            rows: 1,
            compression: "lz4".into(),
            bytes: 1,
        }
    }

    #[test]
    fn pages_follow_each_other_and_no_source_is_behind_an_earlier_one() {
        let mut collected = Collected::nothing(At(5));
        for (page, fits) in [
            (head(6, 10, 50), Err(Unfit::Elsewhere { from: At(6), after: At(5) })),
            (head(5, 5, 50), Err(Unfit::Empty)),
            (head(5, 20, 50), Ok(())),
            (head(20, 40, 49), Err(Unfit::Behind { at: At(49), horizon: At(50) })),
            (head(20, 40, 60), Ok(())),
        ] {
            assert_eq!(collected.take(&page, &own(5), LogIndex(160)), fits, "{page:?}");
        }
        assert_eq!(
            collected.take(&head(40, 60, 60), &Position::default(), LogIndex(160)),
            Err(Unfit::OtherCluster)
        );
        assert_eq!(collected.install(LogIndex(1)), None);
        collected.take(&head(40, 60, 60), &own(5), LogIndex(160)).unwrap();
        assert_eq!(collected.install(LogIndex(161)), None, "it does not bring the tables so far");
        let install = collected.install(LogIndex(160)).unwrap();
        assert_eq!((install.pages, install.position.at), (3, At(60)));
        // Then it goes on: a page without rows may be all there is.
        collected.take(&head(60, 60, 60), &own(5), LogIndex(160)).unwrap();
        assert_eq!(collected.install(LogIndex(160)).map(|install| install.pages), Some(4));
    }

    #[test]
    fn a_source_that_is_as_far_behind_is_left() {
        let mut collected = Collected::nothing(At(60));
        let short = Unfit::Short { index: LogIndex(160), wanted: LogIndex(170) };
        assert_eq!(collected.take(&head(60, 60, 60), &own(60), LogIndex(170)), Err(short));
        // What it has beyond this node is of use, though it does not suffice.
        collected.take(&head(60, 65, 65), &own(60), LogIndex(170)).unwrap();
        assert_eq!((collected.pages(), collected.install(LogIndex(170))), (1, None));
        let short = Unfit::Short { index: LogIndex(165), wanted: LogIndex(170) };
        assert_eq!(collected.take(&head(65, 65, 65), &own(60), LogIndex(170)), Err(short));
        let mut nothing_new = head(65, 65, 65);
        nothing_new.position.index = LogIndex(170);
        collected.take(&nothing_new, &own(60), LogIndex(170)).unwrap();
        assert_eq!(collected.install(LogIndex(170)).map(|install| install.pages), Some(2));
    }

    #[test]
    fn it_begins_anew_when_every_source_is_behind() {
        let mut collected = Collected::nothing(At(5));
        collected.take(&head(5, 20, 50), &own(5), LogIndex(150)).unwrap();
        for _ in 0..BEHIND_MAX {
            collected.source_behind(At(7));
        }
        collected.take(&head(20, 30, 50), &own(5), LogIndex(150)).unwrap();
        for _ in 0..BEHIND_MAX {
            collected.source_behind(At(7));
            assert_eq!(collected.pages(), 2);
        }
        collected.source_behind(At(7));
        assert_eq!(collected, Collected::nothing(At(7)));
    }

    #[test]
    fn what_an_earlier_run_collected_is_used_if_it_fits_these_tables() {
        let pages = [head(5, 20, 50), head(20, 40, 60), head(44, 50, 60)];
        for (own_at, after, count) in [(5, 40, 2), (30, 40, 2), (4, 4, 0), (40, 40, 0), (90, 90, 0)] {
            let collected = Collected::again(pages.iter().cloned(), &own(own_at));
            assert_eq!((collected.after(), collected.pages()), (At(after), count), "own at {own_at}");
        }
        assert_eq!(Collected::again(std::iter::empty(), &own(7)), Collected::nothing(At(7)));
        assert_eq!(
            Collected::again(pages.into_iter(), &Position { at: At(5), ..Position::default() }).pages(),
            0
        );
    }
}
