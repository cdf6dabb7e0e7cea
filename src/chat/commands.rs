//! What may be written in the place of a message. Pure.

/// Shown as help, a line each.
pub const HELP: &[(&str, &str)] = &[
    ("Enter", "send; Alt-Enter breaks the line"),
    ("↑", "edit your last message (when nothing is written)"),
    ("PgUp PgDn", "look further back, and come again"),
    ("Ctrl-O", "pick a message: ↑ ↓, then r reply, + react, e edit, d delete, Esc back"),
    ("Ctrl-N Ctrl-P", "next and previous room"),
    ("Ctrl-K", "choose a room by part of its name"),
    ("Ctrl-F", "search"),
    ("Esc", "leave what you are doing"),
    ("Ctrl-Q", "quit; what waits is sent the next time"),
    ("/join ROOM", "enter a public room"),
    ("/create ROOM [private]", "make a room"),
    ("/msg NAME [TEXT]", "talk to one person"),
    ("/invite NAME", "let somebody into this private room"),
    ("/members", "who is in this room"),
    ("/react EMOJI", "react to the last message, or take it back"),
    ("/leave", "leave this room"),
    ("/search TEXT", "search"),
    ("/again, /drop", "try again, or give up, what was refused"),
    ("//text", "a message that begins with /"),
];

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Say(String),
    Join(String),
    Create { name: String, is_private: bool },
    Direct { name: String, text: String },
    Invite(String),
    Members,
    React(String),
    Leave,
    Search(String),
    Again,
    Drop,
    Help,
    Quit,
}

/// Reads what was written.
///
/// # Errors
/// Says how the command is to be used.
pub fn read(written: &str) -> Result<Command, String> {
    if let Some(text) = written.strip_prefix("//") {
        return Ok(Command::Say(format!("/{text}")));
    }
    let Some(command) = written.strip_prefix('/') else { return Ok(Command::Say(written.to_owned())) };
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let needed = |what: &str| match rest {
        "" => Err(format!("/{word} needs {what}")),
        rest => Ok(rest.to_owned()),
    };
    let command = match word {
        "join" => Command::Join(needed("the name of a room")?.trim_start_matches('#').to_owned()),
        "create" => {
            let name = needed("a name for the room")?;
            match name.strip_suffix(" private") {
                Some(name) => Command::Create { name: name.trim_end().to_owned(), is_private: true },
                None => Command::Create { name, is_private: false },
            }
        }
        "msg" => {
            let all = needed("a person's name")?;
            let (name, text) = all.split_once(char::is_whitespace).unwrap_or((&all, ""));
            let name = name.trim_start_matches('@').to_lowercase();
            Command::Direct { name, text: text.trim().to_owned() }
        }
        "invite" => Command::Invite(needed("a person's name")?.trim_start_matches('@').to_lowercase()),
        "members" => Command::Members,
        "react" => Command::React(needed("an emoji")?),
        "leave" => Command::Leave,
        "search" => Command::Search(needed("what to look for")?),
        "again" => Command::Again,
        "drop" => Command::Drop,
        "help" => Command::Help,
        "quit" => Command::Quit,
        _ => return Err(format!("there is no /{word}: see /help; to send it as it is, write //{word}")),
    };
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_messages() {
        for (written, expected) in [
            ("hello", Ok(Command::Say("hello".into()))),
            ("//etc/passwd", Ok(Command::Say("/etc/passwd".into()))),
            ("/join #general", Ok(Command::Join("general".into()))),
            ("/create off topic", Ok(Command::Create { name: "off topic".into(), is_private: false })),
            ("/create plans private", Ok(Command::Create { name: "plans".into(), is_private: true })),
            (
                "/msg @Bob are you\nthere",
                Ok(Command::Direct { name: "bob".into(), text: "are you\nthere".into() }),
            ),
            ("/msg bob", Ok(Command::Direct { name: "bob".into(), text: String::new() })),
            ("/search  two words ", Ok(Command::Search("two words".into()))),
            ("/react 👍", Ok(Command::React("👍".into()))),
            ("/join", Err("/join needs the name of a room".into())),
            ("/fly", Err("there is no /fly: see /help; to send it as it is, write //fly".into())),
        ] {
            assert_eq!(read(written), expected, "{written}");
        }
    }
}
