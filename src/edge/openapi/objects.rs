//! The objects that people and programs see: in replies, as events, as lines of an export. Stories hold what nodes say
//! against this.

use serde_json::{Map, Value, json};

/// What a field is.
#[derive(Clone, Copy)]
pub enum Shape {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Whole,
    /// Or null.
    MaybeWhole,
    MaybeNumber,
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

use Shape::{
    Is, Many, MaybeNumber, MaybeText, MaybeWhole, Places, Reactions, Switch, Text, Texts, Whole, Word,
};

pub type Field = (&'static str, Shape, bool);

pub const ALWAYS: bool = true;
/// Left out when it is false, empty or unknown.
pub const SOMETIMES: bool = false;

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

/// A message, wherever it is told of; where it is a state it has an `at` as well.
const MESSAGE: [Field; 12] = [
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

const FILE: [Field; 4] =
    [("file", Text, ALWAYS), ("name", Text, ALWAYS), ("bytes", Whole, ALWAYS), ("type", Text, ALWAYS)];

const CLUSTER: [Field; 2] = [("leader", MaybeText, ALWAYS), ("quorum", Switch, ALWAYS)];

const NODE: [Field; 4] = [
    ("name", Text, ALWAYS),
    ("public", Text, ALWAYS),
    ("role", Word(&["leader", "follower", "learner"]), ALWAYS),
    ("up", Switch, ALWAYS),
];

const AT: Field = ("at", Whole, ALWAYS);

/// Each with what it has beside the fields of another.
type Object = (&'static str, &'static [Field], &'static [Field]);

const OBJECTS: &[Object] = &[
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
    ("Message", &MESSAGE, &[AT]),
    ("Found", &MESSAGE, &[AT, ("hit", Places, ALWAYS)]),
    ("File", &FILE, &[]),
    ("FileToSend", &[("file", Text, ALWAYS), ("name", Text, SOMETIMES)], &[]),
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
    ("Cluster", &CLUSTER, &[("nodes", Many("Node"), ALWAYS)]),
    ("Node", &NODE, &[]),
    (
        "ClusterView",
        &CLUSTER,
        &[
            ("cluster", Text, ALWAYS),
            ("node", Text, ALWAYS),
            ("term", Whole, ALWAYS),
            ("applied", Whole, ALWAYS),
            ("at", Whole, ALWAYS),
            ("epoch", Text, ALWAYS),
            ("nodes", Many("NodeView"), ALWAYS),
        ],
    ),
    (
        "NodeView",
        &NODE,
        &[
            ("peer", Text, ALWAYS),
            ("match", MaybeWhole, ALWAYS),
            ("lag", MaybeWhole, ALWAYS),
            ("ms", MaybeNumber, ALWAYS),
            ("version", MaybeText, ALWAYS),
            ("disk", Is("Disk"), SOMETIMES),
            ("transfer", Is("Transfer"), SOMETIMES),
        ],
    ),
    ("Disk", &[("free_mb", Whole, ALWAYS), ("low", Switch, ALWAYS)], &[]),
    ("Transfer", &[("at", Whole, ALWAYS), ("of", Whole, ALWAYS)], &[]),
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

/// By their `ev`.
const EVENTS: &[Object] = &[
    ("message", &MESSAGE, &[AT]),
    ("room", &ROOM, &[]),
    ("member", &[AT, ("room", Whole, ALWAYS), ("user", Text, ALWAYS), ("member", Switch, ALWAYS)], &[]),
    ("user", &USER, &[AT]),
    ("read", &[AT, ("room", Whole, ALWAYS), ("user", Text, ALWAYS), ("seq", Whole, ALWAYS)], &[]),
    ("mute", &[AT, ("room", Whole, ALWAYS), ("muted", Switch, ALWAYS)], &[]),
    ("cursor", &[AT], &[]),
    ("typing", &[("room", Whole, ALWAYS), ("user", Text, ALWAYS)], &[]),
    ("presence", &[("user", Text, ALWAYS), ("online", Switch, ALWAYS)], &[]),
    ("cluster", &CLUSTER, &[("nodes", Many("Node"), ALWAYS)]),
    ("bye", &[("reason", Text, ALWAYS), ("nodes", Texts, ALWAYS)], &[]),
    ("reset", &[], &[]),
    ("over", &[("reason", Text, ALWAYS)], &[]),
];

/// By their `type`, of an export of what one may see.
const LINES: &[Object] = &[
    (
        "header",
        &[
            ("format", Text, ALWAYS),
            ("version", Whole, ALWAYS),
            ("epoch", Text, ALWAYS),
            AT,
            ("user", MaybeText, ALWAYS),
            ("majority", Switch, ALWAYS),
        ],
        &[],
    ),
    ("user", &USER, &[]),
    (
        "room",
        &[
            ("room", Whole, ALWAYS),
            ("name", Text, ALWAYS),
            ("kind", Word(&["public", "private", "direct"]), ALWAYS),
            ("topic", Text, ALWAYS),
            ("users", Texts, SOMETIMES),
        ],
        &[],
    ),
    ("member", &[("room", Whole, ALWAYS), ("user", Text, ALWAYS)], &[]),
    ("message", &MESSAGE, &[("versions", Many("Version"), SOMETIMES)]),
    ("read", &[("room", Whole, ALWAYS), ("user", Text, ALWAYS), ("seq", Whole, ALWAYS)], &[]),
    ("mute", &[("room", Whole, ALWAYS), ("user", Text, ALWAYS)], &[]),
    ("end", &[("users", Whole, ALWAYS), ("rooms", Whole, ALWAYS), ("messages", Whole, ALWAYS)], &[]),
];

/// What an upload that was begun comes to: as far as it is, and the file once all of it is there.
pub const UPLOAD: [Field; 5] = [
    ("offset", Whole, ALWAYS),
    ("file", Text, SOMETIMES),
    ("name", Text, SOMETIMES),
    ("bytes", Whole, SOMETIMES),
    ("type", Text, SOMETIMES),
];

/// What a whole upload comes to.
pub const UPLOADED: (&[Field], &[Field]) = (&FILE, &[("offset", Whole, ALWAYS)]);

/// The objects that schemas refer to.
pub fn all() -> Map<String, Value> {
    let named = |(name, shared, own): &Object| ((*name).to_owned(), object(own, shared));
    let mut objects: Map<String, Value> = OBJECTS.iter().map(named).collect();
    one_of(&mut objects, "Event", "ev", EVENTS);
    one_of(&mut objects, "Line", "type", LINES);
    objects
}

/// Adds an object that is one of these, and those: which one is said by its field `tag`.
fn one_of(objects: &mut Map<String, Value>, name: &str, tag: &str, of: &[Object]) {
    let (mut refs, mut mapping) = (Vec::new(), Map::new());
    for (word, shared, own) in of {
        let (first, rest) = word.split_at(1);
        let one = format!("{}{rest}{name}", first.to_uppercase());
        objects
            .insert(one.clone(), marked(object(own, shared), tag, json!({"type": "string", "const": word})));
        refs.push(named(&one));
        mapping.insert((*word).to_owned(), refs[refs.len() - 1]["$ref"].clone());
    }
    let discriminator = json!({"propertyName": tag, "mapping": mapping});
    objects.insert(name.to_owned(), json!({"oneOf": refs, "discriminator": discriminator}));
}

/// A reply that says that something was done.
pub fn done(own: &[Field], shared: &[Field]) -> Value {
    marked(object(own, shared), "ok", json!({"type": "boolean", "const": true}))
}

/// A reference to an object.
pub fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object's schema with one more field in front, which it always has.
fn marked(mut object: Value, name: &str, field: Value) -> Value {
    object["properties"][name] = field;
    if let Some(required) = object["required"].as_array_mut() {
        required.insert(0, name.into());
    }
    object
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
    match shape {
        Text => json!({"type": "string"}),
        Word(words) => json!({"type": "string", "enum": words}),
        Whole => json!({"type": "integer"}),
        MaybeWhole => json!({"type": ["integer", "null"]}),
        MaybeNumber => json!({"type": ["number", "null"]}),
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
