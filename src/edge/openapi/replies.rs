//! What replies hold: the objects that people see, and the fields of each op's reply. A story plays every
//! op and holds requests and replies against this.

use serde_json::{Map, Value, json};

/// What a field is.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Whole,
    /// Or null.
    MaybeWhole,
    MaybeText,
    Switch,
    Texts,
    /// An object of this name.
    Is(&'static str),
    /// A list of such.
    Many(&'static str),
    /// Emoji, and who by name.
    Reactions,
    /// Pairs of places in a text.
    Places,
}

use Shape::{Is, Many, MaybeText, MaybeWhole, Places, Reactions, Switch, Text, Texts, Whole, Word};

type Field = (&'static str, Shape, bool);

const ALWAYS: bool = true;
/// Left out when it is false, empty or unknown.
const SOMETIMES: bool = false;

const USER: [Field; 6] = [
    ("name", Text, ALWAYS),
    ("display", Text, ALWAYS),
    ("role", Word(&["admin", "member"]), ALWAYS),
    ("deleted", Switch, ALWAYS),
    ("disabled", Switch, SOMETIMES),
    ("bot", Switch, SOMETIMES),
];

const ROOM: [Field; 8] = [
    ("room", Whole, ALWAYS),
    ("name", Text, ALWAYS),
    ("kind", Word(&["public", "private", "direct"]), ALWAYS),
    ("topic", Text, ALWAYS),
    ("users", Texts, SOMETIMES),
    ("member", Switch, ALWAYS),
    ("last_seq", Whole, ALWAYS),
    ("at", Whole, ALWAYS),
];

const MESSAGE: [Field; 13] = [
    ("at", Whole, ALWAYS),
    ("room", Whole, ALWAYS),
    ("seq", Whole, ALWAYS),
    ("id", Text, ALWAYS),
    ("from", Text, ALWAYS),
    ("text", Text, ALWAYS),
    ("time", Whole, ALWAYS),
    ("version", Whole, ALWAYS),
    ("edited", Switch, ALWAYS),
    ("deleted", Switch, ALWAYS),
    ("reply_to", MaybeWhole, ALWAYS),
    ("reactions", Reactions, ALWAYS),
    ("files", Many("File"), ALWAYS),
];

/// Each with what it has beside the fields of another.
const OBJECTS: &[(&str, &[Field], &[Field])] = &[
    ("User", &USER, &[]),
    ("ListedUser", &USER, &[("online", Switch, ALWAYS)]),
    ("Room", &ROOM, &[]),
    (
        "HomeRoom",
        &ROOM,
        &[
            ("read_seq", Whole, ALWAYS),
            ("unread", Whole, ALWAYS),
            ("mentions", Whole, ALWAYS),
            ("muted", Switch, ALWAYS),
        ],
    ),
    ("Message", &MESSAGE, &[]),
    ("Found", &MESSAGE, &[("hit", Places, ALWAYS)]),
    (
        "File",
        &[("file", Text, ALWAYS), ("name", Text, ALWAYS), ("bytes", Whole, ALWAYS), ("type", Text, ALWAYS)],
        &[],
    ),
    ("Version", &[("version", Whole, ALWAYS), ("text", Text, ALWAYS), ("time", Whole, ALWAYS)], &[]),
    (
        "Session",
        &[
            ("session", Text, ALWAYS),
            ("time", MaybeWhole, ALWAYS),
            ("agent", Text, ALWAYS),
            ("current", Switch, ALWAYS),
        ],
        &[],
    ),
    (
        "Invite",
        &[
            ("invite", Text, ALWAYS),
            ("by", Text, ALWAYS),
            ("uses", Whole, ALWAYS),
            ("used", Whole, ALWAYS),
            ("until", Whole, ALWAYS),
            ("revoked", Switch, ALWAYS),
        ],
        &[],
    ),
    (
        "Bot",
        &[
            ("name", Text, ALWAYS),
            ("display", Text, ALWAYS),
            ("owner", Text, ALWAYS),
            ("rights", Texts, ALWAYS),
            ("disabled", Switch, ALWAYS),
        ],
        &[],
    ),
    (
        "Hook",
        &[
            ("hook", Text, ALWAYS),
            ("display", Text, ALWAYS),
            ("owner", Text, ALWAYS),
            ("disabled", Switch, ALWAYS),
        ],
        &[],
    ),
    (
        "NewSubscription",
        &[("id", Whole, ALWAYS), ("room", Whole, ALWAYS), ("url", Text, ALWAYS), ("secret", Text, ALWAYS)],
        &[],
    ),
    (
        "Subscription",
        &[
            ("id", Whole, ALWAYS),
            ("room", Whole, ALWAYS),
            ("url", Text, ALWAYS),
            ("by", Text, ALWAYS),
            ("state", Word(&["on", "paused", "off"]), ALWAYS),
            ("delivered", Whole, ALWAYS),
            ("failing_since", MaybeWhole, ALWAYS),
            ("error", MaybeText, ALWAYS),
            ("time", Whole, ALWAYS),
        ],
        &[],
    ),
    (
        "Cluster",
        &[("leader", MaybeText, ALWAYS), ("quorum", Switch, ALWAYS), ("nodes", Many("Node"), ALWAYS)],
        &[],
    ),
    (
        "Node",
        &[
            ("name", Text, ALWAYS),
            ("public", Text, ALWAYS),
            ("role", Word(&["leader", "follower", "learner"]), ALWAYS),
            ("up", Switch, ALWAYS),
        ],
        &[],
    ),
    (
        "Limits",
        &[
            ("message_bytes", Whole, ALWAYS),
            ("frame_bytes", Whole, ALWAYS),
            ("file_bytes", Whole, ALWAYS),
            ("messages_per_second", Whole, ALWAYS),
            ("logins_per_minute", Whole, ALWAYS),
        ],
        &[],
    ),
];

/// What `hello` gives.
const WELCOME: &[Field] = &[
    ("user", Is("User"), ALWAYS),
    ("node", Text, ALWAYS),
    ("protocol", Whole, ALWAYS),
    ("cursor", Whole, ALWAYS),
    ("epoch", Text, ALWAYS),
    ("resumed", Switch, ALWAYS),
    ("behind", Switch, ALWAYS),
    ("rooms", Many("HomeRoom"), ALWAYS),
    ("cluster", Is("Cluster"), ALWAYS),
    ("nodes", Texts, ALWAYS),
    ("limits", Is("Limits"), ALWAYS),
    ("heartbeat_ms", Whole, ALWAYS),
];

/// What every change's reply has.
const CHANGED: &[Field] = &[("at", Whole, ALWAYS), ("duplicate", Switch, SOMETIMES)];

/// The fields of an op's reply beside `ok`: its own, and those it shares with others. `None`: no such op.
fn fields(op: &str) -> Option<(&'static [Field], &'static [Field])> {
    const TOKEN: &[Field] =
        &[("token", Text, ALWAYS), ("at", Whole, ALWAYS), ("duplicate", Switch, SOMETIMES)];
    const IN_ROOM: &[Field] = &[("room", Is("Room"), ALWAYS)];
    const OF_USER: &[Field] = &[("user", Is("User"), ALWAYS)];
    Some(match op {
        "register" | "login" => (TOKEN, WELCOME),
        "hello" => (&[], WELCOME),
        "logout"
        | "change_password"
        | "delete_account"
        | "delete"
        | "react"
        | "mark_read"
        | "mute"
        | "end_session"
        | "revoke_invite"
        | "set_registration"
        | "delete_bot"
        | "delete_hook"
        | "delete_subscription" => (&[], CHANGED),
        "create_room" | "join" | "leave" | "invite" | "remove" | "open_direct" | "set_room" => {
            (IN_ROOM, CHANGED)
        }
        "set_profile" | "set_role" | "set_disabled" | "set_password" => (OF_USER, CHANGED),
        "create_bot" | "renew_bot_token" => {
            (&[("token", Text, ALWAYS), ("user", Is("User"), ALWAYS)], CHANGED)
        }
        "create_hook" => (&[("hook", Text, ALWAYS), ("url", Text, ALWAYS)], CHANGED),
        "create_subscription" => (&[("subscription", Is("NewSubscription"), ALWAYS)], CHANGED),
        "list_subscriptions" => (&[("subscriptions", Many("Subscription"), ALWAYS)], &[]),
        "list_hooks" => (&[("hooks", Many("Hook"), ALWAYS)], &[]),
        "send" => (&[("seq", Whole, ALWAYS), ("time", Whole, ALWAYS)], CHANGED),
        "edit" => (&[("version", Whole, ALWAYS)], CHANGED),
        "create_invite" => {
            (&[("invite", Text, ALWAYS), ("link", Text, ALWAYS), ("until", Whole, ALWAYS)], CHANGED)
        }
        "reset_password" => (&[("link", Text, ALWAYS), ("until", Whole, ALWAYS)], CHANGED),
        "list_users" => (&[("users", Many("ListedUser"), ALWAYS), ("more", Switch, ALWAYS)], &[]),
        "members" => (&[("users", Many("ListedUser"), ALWAYS)], &[]),
        "list_rooms" => (&[("rooms", Many("Room"), ALWAYS)], &[]),
        "history" => {
            (&[("messages", Many("Message"), ALWAYS), ("more", Switch, ALWAYS), ("at", Whole, ALWAYS)], &[])
        }
        "search" => (
            &[("messages", Many("Found"), ALWAYS), ("more", Switch, ALWAYS), ("at", Whole, ALWAYS)],
            &[("partial", Switch, SOMETIMES)],
        ),
        "versions" => (&[("versions", Many("Version"), ALWAYS)], &[]),
        "list_sessions" => (&[("sessions", Many("Session"), ALWAYS)], &[]),
        "list_invites" => (&[("invites", Many("Invite"), ALWAYS)], &[]),
        "list_bots" => (&[("bots", Many("Bot"), ALWAYS)], &[]),
        "server" => (&[("registration", Word(&["open", "closed"]), ALWAYS)], &[]),
        "file_link" => (&[("url", Text, ALWAYS), ("until", Whole, ALWAYS)], &[]),
        "ping" => (&[("time", Whole, ALWAYS)], &[]),
        "typing" => (&[], &[]),
        _ => return None,
    })
}

/// The schema of an op's reply when it was done.
pub fn of(op: &str) -> Option<Value> {
    let (own, shared) = fields(op)?;
    let mut schema = object(own, shared);
    schema["properties"]["ok"] = json!({"type": "boolean", "const": true});
    if let Some(required) = schema["required"].as_array_mut() {
        required.insert(0, "ok".into());
    }
    Some(schema)
}

/// The objects that schemas refer to.
pub fn objects() -> Map<String, Value> {
    let named = |(name, shared, own): &(&str, &[Field], &[Field])| ((*name).to_owned(), object(own, shared));
    OBJECTS.iter().map(named).collect()
}

fn object(own: &[Field], shared: &[Field]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, shape, always) in own.iter().chain(shared) {
        properties.insert((*name).to_owned(), schema(*shape));
        if *always {
            required.push(*name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn schema(shape: Shape) -> Value {
    let named = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    match shape {
        Text => json!({"type": "string"}),
        Word(words) => json!({"type": "string", "enum": words}),
        Whole => json!({"type": "integer"}),
        MaybeWhole => json!({"type": ["integer", "null"]}),
        MaybeText => json!({"type": ["string", "null"]}),
        Switch => json!({"type": "boolean"}),
        Texts => json!({"type": "array", "items": {"type": "string"}}),
        Is(name) => named(name),
        Many(name) => json!({"type": "array", "items": named(name)}),
        Reactions => json!({
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        }),
        Places => json!({
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        }),
    }
}
