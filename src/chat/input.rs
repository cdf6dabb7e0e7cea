//! The line that is being written: text and cursor. Pure.

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    characters: Vec<char>,
    cursor: usize,
}

impl Input {
    pub fn text(&self) -> String {
        self.characters.iter().collect()
    }

    /// In characters.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// Puts this in the place of everything.
    pub fn set(&mut self, text: &str) {
        self.characters = text.chars().collect();
        self.cursor = self.characters.len();
    }

    /// Takes everything out.
    pub fn take(&mut self) -> String {
        let text = self.text();
        self.set("");
        text
    }

    pub fn insert(&mut self, text: &str) {
        for character in text.replace("\r\n", "\n").replace('\r', "\n").chars() {
            self.characters.insert(self.cursor, character);
            self.cursor += 1;
        }
    }

    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.characters.remove(self.cursor);
        }
    }

    pub fn delete(&mut self) {
        if self.cursor < self.characters.len() {
            self.characters.remove(self.cursor);
        }
    }

    /// The word before the cursor.
    pub fn delete_word(&mut self) {
        let end = self.cursor;
        while self.cursor > 0 && self.characters[self.cursor - 1].is_whitespace() {
            self.cursor -= 1;
        }
        while self.cursor > 0 && !self.characters[self.cursor - 1].is_whitespace() {
            self.cursor -= 1;
        }
        self.characters.drain(self.cursor..end);
    }

    pub fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    pub fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.characters.len());
    }

    pub fn home(&mut self) {
        self.cursor = 0;
    }

    pub fn end(&mut self) {
        self.cursor = self.characters.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_and_taking_back() {
        let mut input = Input::default();
        input.insert("one two\r\nthree");
        input.delete_word();
        assert_eq!(input.text(), "one two\n");
        input.home();
        input.right();
        input.delete();
        input.insert("é");
        input.backspace();
        input.left();
        input.backspace();
        assert_eq!((input.text().as_str(), input.cursor()), ("oe two\n", 0));
        input.end();
        input.delete();
        input.delete_word();
        assert_eq!(input.take(), "oe ");
        assert!(input.is_empty());
    }
}
