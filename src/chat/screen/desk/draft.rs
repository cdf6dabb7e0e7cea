//! What is being written in one room, and what waits beneath it.

use crate::chat::input::Input;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub input: Input,
    pub reply_to: Option<u64>,
    pub editing: Option<u64>,
    /// What was begun before this, and comes back when this is done.
    beneath: Option<Box<Draft>>,
}

impl Draft {
    /// The edit of a message that says this. What was begun waits beneath, but for another edit.
    pub fn edit(&mut self, seq: u64, text: &str) {
        if self.editing.is_some() {
            self.finish();
        }
        let begun = std::mem::take(self);
        self.editing = Some(seq);
        self.input.set(text);
        self.lay_on(Some(begun));
    }

    /// It was written, or is not to be: goes on with what waits beneath.
    pub fn finish(&mut self) {
        *self = self.beneath.take().map_or_else(Self::default, |beneath| *beneath);
    }

    /// Puts another beneath all of this, if anything is begun in it.
    pub fn lay_on(&mut self, other: Option<Self>) {
        let Some(other) = other.filter(Self::is_begun) else { return };
        match &mut self.beneath {
            Some(beneath) => beneath.lay_on(Some(other)),
            None => self.beneath = Some(Box::new(other)),
        }
    }

    pub fn is_begun(&self) -> bool {
        !self.input.is_empty() || self.reply_to.is_some() || self.editing.is_some()
    }
}
