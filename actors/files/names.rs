//! The names of files, what they say about the bytes, and how they travel in headers and paths. Pure.
//!
//! The type comes from the name's ending, by a fixed list, never from whoever uploaded the bytes.

use std::fmt::Write as _;

use crate::chat::rules::misleads;

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 255;
/// An ending is kept when a name is cut, if it is no longer than this.
const ENDING_BYTES_MAX: usize = 16;
/// What has no other name.
const NAMELESS: &str = "file";
pub const UNKNOWN: &str = "application/octet-stream";

const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("md", "text/markdown"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// A name as it is stored and shown: the last component of a path, on one line, of at most 255 bytes.
pub fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().map(|c| if misleads(c) { '_' } else { c }).collect();
    // A path of dots alone would name a folder.
    if shown.trim().is_empty() || shown == "." || shown == ".." {
        return NAMELESS.to_owned();
    }
    cut(&shown).to_string()
}

/// The type of a file of that name.
pub fn kind_of(name: &str) -> &'static str {
    let Some((_, ending)) = name.rsplit_once('.') else { return UNKNOWN };
    let ending = ending.to_ascii_lowercase();
    TYPES.binary_search_by(|(known, _)| (*known).cmp(&ending)).map_or(UNKNOWN, |place| TYPES[place].1)
}

/// Whether a browser may show it where it stands; anything else is downloaded.
pub fn shown_inline(kind: &str) -> bool {
    let plain = ["image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"].contains(&kind);
    plain || kind.starts_with("audio/") || kind.starts_with("video/")
}

/// The value of `Content-Disposition` (RFC 6266): the name in ASCII for old readers, and whole (RFC 5987).
pub fn disposition(name: &str, kind: &str) -> String {
    let how = if shown_inline(kind) { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|c| if (' '..='~').contains(&c) && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", escaped(name))
}

/// For a path or a header: all but letters, digits and `-._~` as `%XX`.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing into a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// What an escaped text says; what is not UTF-8 in it shows as such.
pub fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.split_at_checked(2).filter(|_| byte == b'%');
        let escaped = digits.and_then(|(digits, more)| {
            let digits = std::str::from_utf8(digits).ok()?;
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
            Some((u8::from_str_radix(digits, 16).ok()?, more))
        });
        let (byte, more) = escaped.unwrap_or((byte, behind));
        out.push(byte);
        rest = more;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A name that is too long loses the end of its stem, not its ending.
fn cut(name: &str) -> std::borrow::Cow<'_, str> {
    if name.len() <= NAME_BYTES_MAX {
        return name.into();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() <= ENDING_BYTES_MAX { ending } else { "" };
    let stem = &name[..name.len() - ending.len()];
    format!("{}{ending}", &stem[..stem.floor_char_boundary(NAME_BYTES_MAX - ending.len())]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component_on_one_line() {
        for (name, expected) in [
            ("a.txt", "a.txt"),
            ("", "file"),
            ("  ", "file"),
            ("/", "file"),
            ("..", "file"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\ann\\a.doc", "a.doc"),
            ("a/", "file"),
            ("a\r\nb\0c\u{7f}\u{85}", "a__b_c__"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("日本 ü.png", "日本 ü.png"),
            (".profile", ".profile"),
        ] {
            assert_eq!(clean(name), expected, "{name:?}");
        }
    }

    #[test]
    fn long_names_keep_their_ending() {
        let long = clean(&format!("{}.png", "ü".repeat(200)));
        assert!(long.len() <= 255 && long.len() > 250 && long.ends_with("ü.png"), "{long}");
        assert_eq!(clean(&"x".repeat(300)), "x".repeat(255));
        assert_eq!(clean(&format!("a.{}", "y".repeat(300))).len(), 255);
        assert_eq!(clean(&"x".repeat(255)), "x".repeat(255));
    }

    #[test]
    fn types_come_from_endings() {
        assert!(TYPES.is_sorted_by(|one, other| one.0 < other.0), "they are searched for by halves");
        for (name, kind, inline) in [
            ("a.png", "image/png", true),
            ("a.JPG", "image/jpeg", true),
            ("a.txt", "text/plain", true),
            ("a.mp4", "video/mp4", true),
            ("a.mp3", "audio/mpeg", true),
            ("a.svg", "image/svg+xml", false),
            ("a.html", "text/html", false),
            ("a.pdf", "application/pdf", false),
            ("a.tar.gz", "application/gzip", false),
            ("png", UNKNOWN, false),
            ("a.", UNKNOWN, false),
            ("a.exe", UNKNOWN, false),
        ] {
            assert_eq!((kind_of(name), shown_inline(kind_of(name))), (kind, inline), "{name}");
        }
    }

    #[test]
    fn names_in_headers() {
        assert_eq!(
            disposition("a b.png", "image/png"),
            "inline; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"
        );
        assert_eq!(
            disposition("Grüße \"x\".zip", "application/zip"),
            "attachment; filename=\"Gr__e _x_.zip\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22x%22.zip"
        );
    }

    #[test]
    fn escapes_are_read_back() {
        for text in ["", "a b", "100%", "Grüße", "a/b?c#d", "%41"] {
            assert_eq!(unescaped(&escaped(text)), text);
        }
        for (text, expected) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%41%", "A%"), ("%+1", "%+1")] {
            assert_eq!(unescaped(text), expected);
        }
        assert_eq!(unescaped("%ff"), "\u{fffd}");
    }
}
