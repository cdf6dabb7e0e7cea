//! What a frame is, told without reading it: the load and the nodes share the machine's processors.
//!
//! In JSON a quotation mark inside a text is escaped, so these patterns only ever match keys.

/// The frames that matter under load.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message as it is now; `id` is its sender's own.
    Message { id: &'a [u8] },
    /// The reply to the request of this id.
    Reply { re: &'a [u8], is_ok: bool },
    /// Passing news.
    Other,
}

/// Tells what a frame is: at once if its first key says so, else by looking through all of it.
pub fn recognise(frame: &[u8]) -> Frame<'_> {
    let is_event = frame.starts_with(b"{\"ev\":");
    if !is_event && let Some(re) = value_of(frame, b"\"re\":\"") {
        return Frame::Reply { re, is_ok: find(frame, b"\"ok\":true").is_some() };
    }
    let is_message = if is_event {
        frame.starts_with(b"{\"ev\":\"message\"")
    } else {
        find(frame, b"\"ev\":\"message\"").is_some()
    };
    if is_message && let Some(id) = value_of(frame, b"\"id\":\"") {
        return Frame::Message { id };
    }
    Frame::Other
}

fn value_of<'a>(frame: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    until_quote(&frame[find(frame, key)? + key.len()..])
}

fn until_quote(text: &[u8]) -> Option<&[u8]> {
    Some(&text[..text.iter().position(|byte| *byte == b'"')?])
}

fn find(frame: &[u8], pattern: &[u8]) -> Option<usize> {
    frame.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_kind() {
        for (frame, expected) in [
            (
                r#"{"ev":"message","at":9,"room":1,"seq":7,"id":"m-1","from":"ann","text":"hi","reply_to":null}"#,
                Frame::Message { id: b"m-1" },
            ),
            (
                r#"{"at":9,"ev":"message","from":"ann","id":"m-1","text":"\"re\":\"x\" \"id\":\"y\""}"#,
                Frame::Message { id: b"m-1" },
            ),
            (r#"{"re":"m-1","ok":true,"seq":7,"at":9}"#, Frame::Reply { re: b"m-1", is_ok: true }),
            (r#"{"at":9,"ok":true,"re":"m-1"}"#, Frame::Reply { re: b"m-1", is_ok: true }),
            (
                r#"{"re":"m-1","ok":false,"error":{"code":"conflict","message":"\"ok\":true"}}"#,
                Frame::Reply { re: b"m-1", is_ok: false },
            ),
            (r#"{"ev":"presence","user":"ann","online":true}"#, Frame::Other),
            ("", Frame::Other),
        ] {
            assert_eq!(recognise(frame.as_bytes()), expected, "{frame}");
        }
    }
}
