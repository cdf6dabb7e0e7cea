//! What is wrong in the settings, in one line: where it was said, which key, what it is, what it should be.

use std::fmt;

/// A mistake in a settings file or in a `CHAT__…` variable. It is the operator's to mend, so the program ends with 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    place: String,
    key: Option<String>,
    complaint: String,
}

impl SettingsError {
    /// A mistake in the value of one key; `place` is a file or a variable.
    pub fn of_key(place: impl Into<String>, key: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self { place: place.into(), key: Some(key.into()), complaint: complaint.into() }
    }

    /// A mistake in a whole file, such as one that cannot be read.
    pub fn of_place(place: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self { place: place.into(), key: None, complaint: complaint.into() }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.complaint)
    }
}

impl std::error::Error for SettingsError {}
