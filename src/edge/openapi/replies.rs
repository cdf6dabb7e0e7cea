//! What each op's reply holds. A story plays every op and holds requests and replies against this.

use serde_json::Value;

use super::objects::Shape::{Is, Many, Switch, Text, Texts, Whole, Word};
use super::objects::{self, ALWAYS, Field, SOMETIMES};

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
    Some(objects::done(own, shared))
}
