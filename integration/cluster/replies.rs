//! What a reply must look like, on a WebSocket or over HTTP.

use serde_json::Value;

/// The reply's status and `retry` for each code.
const CODES: [(&str, u16, bool); 10] = [
    ("bad_request", 400, false),
    ("unauthorized", 401, false),
    ("forbidden", 403, false),
    ("not_found", 404, false),
    ("conflict", 409, false),
    ("too_large", 413, false),
    ("rate_limited", 429, true),
    ("internal", 500, false),
    ("unavailable", 503, true),
    ("timeout", 504, true),
];

/// The HTTP status that goes with a code.
pub fn status_of(code: &str) -> u16 {
    CODES.iter().find(|row| row.0 == code).unwrap_or_else(|| panic!("no such code: {code}")).1
}

/// Checks that it is done.
#[track_caller]
pub fn done(asked: &str, reply: &Value) {
    assert_eq!(reply["ok"], true, "{asked}: {reply}");
    assert!(reply.get("error").is_none(), "{asked}: {reply}");
}

/// Checks that it is refused with this code, and returns the error.
#[track_caller]
pub fn refused(asked: &str, reply: &Value, code: &str) -> Value {
    assert_eq!(reply["ok"], false, "{asked}: {reply}");
    let error = &reply["error"];
    assert_eq!(error["code"], code, "{asked}: {reply}");
    let retry = CODES.iter().find(|row| row.0 == code).map(|row| row.2);
    assert_eq!(error["retry"].as_bool(), retry, "{asked}: {reply}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{asked}: {reply}");
    assert_eq!(error["retry_after_ms"].is_u64(), code == "rate_limited", "{asked}: {reply}");
    error.clone()
}

/// Checks that `actual` has every field of `expected`, with its value; it may have more.
#[track_caller]
pub fn assert_like(actual: &Value, expected: &Value) {
    let Some(fields) = expected.as_object() else {
        assert_eq!(actual, expected);
        return;
    };
    for (name, value) in fields {
        assert_eq!(actual.get(name), Some(value), "{name} of {actual}");
    }
}

/// A field that must be there.
#[track_caller]
pub fn field<'a>(object: &'a Value, name: &str) -> &'a Value {
    object.get(name).unwrap_or_else(|| panic!("no {name} in {object}"))
}

/// A field that is a whole number.
#[track_caller]
pub fn number(object: &Value, name: &str) -> u64 {
    field(object, name).as_u64().unwrap_or_else(|| panic!("{name} is not a number in {object}"))
}

/// A field that is a string.
#[track_caller]
pub fn text(object: &Value, name: &str) -> String {
    field(object, name).as_str().unwrap_or_else(|| panic!("{name} is not a string in {object}")).to_owned()
}

/// One field of each object of a list.
#[track_caller]
pub fn each<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    let list = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    list.iter().map(|object| field(object, name)).collect()
}
