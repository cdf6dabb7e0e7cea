//! Tests that the checkers catch planted bugs.
