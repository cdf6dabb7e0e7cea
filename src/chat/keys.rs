//! Which key means what.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for, wherever one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Character(char),
    Enter,
    BreakLine,
    Backspace,
    Delete,
    DeleteWord,
    DeleteAll,
    Left,
    Right,
    Home,
    End,
    Up,
    Down,
    PageUp,
    PageDown,
    Escape,
    Pick,
    NextRoom,
    PreviousRoom,
    Choose,
    Search,
    Help,
    Redraw,
    Quit,
}

/// `None`: it means nothing here.
pub fn read(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    let shift = event.modifiers.contains(KeyModifiers::SHIFT);
    let key = match event.code {
        KeyCode::Char(character) if control => match character.to_ascii_lowercase() {
            'c' | 'q' => Key::Quit,
            'n' => Key::NextRoom,
            'p' => Key::PreviousRoom,
            'k' => Key::Choose,
            'f' => Key::Search,
            'o' => Key::Pick,
            'w' => Key::DeleteWord,
            'u' => Key::DeleteAll,
            'a' => Key::Home,
            'e' => Key::End,
            'j' => Key::BreakLine,
            'h' => Key::Backspace,
            'l' => Key::Redraw,
            _ => return None,
        },
        KeyCode::Char(_) if alt => return None,
        KeyCode::Char(character) => Key::Character(character),
        KeyCode::Enter if alt || shift => Key::BreakLine,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace if alt => Key::DeleteWord,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Up if alt => Key::PreviousRoom,
        KeyCode::Down if alt => Key::NextRoom,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Esc => Key::Escape,
        KeyCode::F(1) => Key::Help,
        _ => return None,
    };
    Some(key)
}
