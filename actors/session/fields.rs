//! Which field of which op is wrong, in words: for requests that could not be read.

use serde_json::{Map, Value};

/// What a field must be.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Whole,
    Switch,
    Numbers,
    Texts,
    Files,
}

use Kind::{Files, Number, Numbers, Switch, Text, Texts, Whole};

type Field = (&'static str, Kind, bool);

const NEEDED: bool = true;
const OPTIONAL: bool = false;

fn fields(op: &str) -> &'static [Field] {
    match op {
        "register" => &[
            ("name", Text, NEEDED),
            ("password", Text, NEEDED),
            ("display", Text, OPTIONAL),
            ("invite", Text, OPTIONAL),
        ],
        "login" => &[
            ("name", Text, NEEDED),
            ("password", Text, NEEDED),
            ("cursor", Number, OPTIONAL),
            ("epoch", Text, OPTIONAL),
        ],
        "hello" => &[("token", Text, NEEDED), ("cursor", Number, OPTIONAL), ("epoch", Text, OPTIONAL)],
        "change_password" => &[("old", Text, NEEDED), ("new", Text, NEEDED)],
        "delete_account" => &[("password", Text, NEEDED)],
        "send" => &[
            ("room", Number, NEEDED),
            ("text", Text, NEEDED),
            ("reply_to", Number, OPTIONAL),
            ("files", Files, OPTIONAL),
        ],
        "create_room" => &[("name", Text, NEEDED), ("kind", Text, NEEDED), ("topic", Text, OPTIONAL)],
        "join" | "leave" | "members" | "typing" | "list_hooks" | "list_subscriptions" => {
            &[("room", Number, NEEDED)]
        }
        "invite" | "remove" => &[("room", Number, NEEDED), ("user", Text, NEEDED)],
        "open_direct" => &[("users", Texts, NEEDED)],
        "edit" => &[
            ("room", Number, NEEDED),
            ("seq", Number, NEEDED),
            ("text", Text, NEEDED),
            ("version", Number, OPTIONAL),
        ],
        "delete" => &[("room", Number, NEEDED), ("seqs", Numbers, NEEDED)],
        "react" => &[
            ("room", Number, NEEDED),
            ("seq", Number, NEEDED),
            ("emoji", Text, NEEDED),
            ("on", Switch, NEEDED),
        ],
        "mark_read" | "versions" => &[("room", Number, NEEDED), ("seq", Number, NEEDED)],
        "mute" => &[("room", Number, NEEDED), ("on", Switch, NEEDED)],
        "list_users" => &[("match", Text, OPTIONAL), ("after", Text, OPTIONAL), ("limit", Whole, OPTIONAL)],
        "file_link" => &[("file", Text, NEEDED), ("name", Text, OPTIONAL)],
        "list_rooms" => &[("match", Text, OPTIONAL), ("all", Switch, OPTIONAL)],
        "history" => &[
            ("room", Number, NEEDED),
            ("before", Number, OPTIONAL),
            ("after", Number, OPTIONAL),
            ("limit", Whole, OPTIONAL),
            ("read", Text, OPTIONAL),
        ],
        "search" => &[
            ("text", Text, NEEDED),
            ("room", Number, OPTIONAL),
            ("from", Text, OPTIONAL),
            ("before", Number, OPTIONAL),
            ("before_time", Number, OPTIONAL),
            ("limit", Whole, OPTIONAL),
        ],
        "set_profile" => &[("display", Text, NEEDED)],
        "end_session" => &[("session", Text, NEEDED)],
        "set_role" => &[("user", Text, NEEDED), ("role", Text, NEEDED)],
        "set_disabled" => &[("user", Text, NEEDED), ("disabled", Switch, NEEDED)],
        "reset_password" => &[("user", Text, NEEDED)],
        "set_password" => &[("link", Text, NEEDED), ("password", Text, NEEDED)],
        "create_invite" => &[("uses", Number, OPTIONAL), ("hours", Number, OPTIONAL)],
        "revoke_invite" => &[("invite", Text, NEEDED)],
        "create_bot" => &[("name", Text, NEEDED), ("display", Text, OPTIONAL), ("rights", Texts, NEEDED)],
        "create_hook" => &[("room", Number, NEEDED), ("name", Text, NEEDED), ("display", Text, OPTIONAL)],
        "create_subscription" => {
            &[("room", Number, NEEDED), ("url", Text, NEEDED), ("events", Texts, OPTIONAL)]
        }
        "delete_subscription" => &[("subscription", Number, NEEDED)],
        "delete_hook" => &[("hook", Text, NEEDED)],
        "renew_bot_token" | "delete_bot" => &[("bot", Text, NEEDED)],
        "set_registration" => &[("mode", Text, NEEDED)],
        "set_room" => &[("room", Number, NEEDED), ("name", Text, OPTIONAL), ("topic", Text, OPTIONAL)],
        _ => &[],
    }
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Text => value.is_string(),
            Number => value.is_u64(),
            Whole => value.is_i64(),
            Switch => value.is_boolean(),
            Numbers => value.as_array().is_some_and(|list| list.iter().all(Value::is_u64)),
            Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Files => value.as_array().is_some_and(|list| list.iter().all(is_file)),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Text => "a string",
            Number => "a whole number from 0",
            Whole => "a whole number",
            Switch => "true or false",
            Numbers => "a list of whole numbers",
            Texts => "a list of strings",
            Files => "a list of objects with file, a string, and name, another",
        }
    }
}

fn is_file(value: &Value) -> bool {
    let is_text_or = |name: &str, needed: bool| match value.get(name) {
        None | Some(Value::Null) => !needed,
        Some(value) => value.is_string(),
    };
    value.is_object() && is_text_or("file", NEEDED) && is_text_or("name", OPTIONAL)
}

/// A field of an op, for whoever describes it.
pub struct Described {
    pub name: &'static str,
    /// As JSON Schema names it; of a list, what is in it.
    pub kind: &'static str,
    pub items: Option<&'static str>,
    pub needed: bool,
}

/// The fields of an op.
pub fn described(op: &str) -> impl Iterator<Item = Described> {
    fields(op).iter().map(|(name, kind, needed)| {
        let (kind, items) = match kind {
            Text => ("string", None),
            Number | Whole => ("integer", None),
            Switch => ("boolean", None),
            Numbers => ("array", Some("integer")),
            Texts => ("array", Some("string")),
            Files => ("array", Some("object")),
        };
        Described { name, kind, items, needed: *needed }
    })
}

/// Says what is wrong with the fields of a request that could not be read.
pub(super) fn what_is_wrong(op: &str, text: &str, error: &serde_json::Error) -> String {
    let object: Map<String, Value> = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return "the request must be one JSON object".to_owned(),
        Err(error) => return format!("the request is not JSON: {error}"),
    };
    for (name, kind, needed) in fields(op) {
        match object.get(*name) {
            None | Some(Value::Null) if *needed => {
                return format!("{name} is missing: it must be {}", kind.words());
            }
            None | Some(Value::Null) => {}
            Some(value) if kind.fits(value) => {}
            Some(_) => return format!("{name} must be {}", kind.words()),
        }
    }
    // A field that stands twice, for one.
    let words = error.to_string();
    words.split(" at line ").next().unwrap_or_default().to_owned()
}
