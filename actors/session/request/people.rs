//! The requests about accounts, sessions and invitations, and what admins ask for.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Op, RoomOnly, bad, named_user, read};
use crate::chat::command::Change;
use crate::chat::objects::Role;
use crate::chat::outcome::Refusal;
use crate::chat::rules;
use crate::chat::tables::Registration;
use crate::ids::SubscriptionId;

pub(super) fn fields_of(op: &str, text: &str) -> Result<Op, Refusal> {
    Ok(match op {
        "set_profile" => {
            let SetProfile { display } = read(op, text)?;
            Op::Change(Change::SetProfile { display: rules::display(Some(&display), "")? })
        }
        "end_session" => {
            let EndSession { session } = read(op, text)?;
            let wrong = "session must be 16 hexadecimal digits, as list_sessions shows them";
            Op::Change(Change::EndSession { session: rules::shown(&session, wrong)? })
        }
        "set_role" => {
            let SetRole { user, role } = read(op, text)?;
            let role = match role.as_str() {
                "admin" => Role::Admin,
                "member" => Role::Member,
                _ => return Err(bad("role must be admin or member")),
            };
            Op::Change(Change::SetRole { user: named_user(&user)?, role })
        }
        "set_disabled" => {
            let SetDisabled { user, disabled } = read(op, text)?;
            Op::Change(Change::SetDisabled { user: named_user(&user)?, disabled })
        }
        "reset_password" => {
            let ResetPassword { user } = read(op, text)?;
            Op::ResetPassword { user: named_user(&user)? }
        }
        "set_password" => {
            let SetPassword { link, password } = read(op, text)?;
            rules::password(&password)?;
            Op::SetPassword { link, password }
        }
        "create_invite" => {
            let CreateInvite { uses, hours } = read(op, text)?;
            let (uses, hours) = rules::invite(uses, hours)?;
            Op::CreateInvite { uses, hours }
        }
        "revoke_invite" => {
            let RevokeInvite { invite } = read(op, text)?;
            let wrong = "invite must be 16 hexadecimal digits, as list_invites shows them";
            Op::Change(Change::RevokeInvite { invite: rules::shown(&invite, wrong)? })
        }
        "create_bot" => {
            let CreateBot { name, display, rights } = read(op, text)?;
            Op::CreateBot {
                display: rules::display(display.as_deref(), &name)?,
                name: rules::name(&name)?,
                rights: rules::rights(&rights)?,
            }
        }
        "renew_bot_token" => Op::RenewBotToken { bot: named_user(&read::<BotOnly>(op, text)?.bot)? },
        "delete_bot" => Op::Change(Change::DeleteBot { bot: named_user(&read::<BotOnly>(op, text)?.bot)? }),
        "create_hook" => {
            let CreateHook { room, name, display } = read(op, text)?;
            Op::CreateHook {
                room: rules::room(room)?,
                display: rules::display(display.as_deref(), &name)?,
                name: rules::name(&name)?,
            }
        }
        "list_hooks" => Op::ListHooks { room: rules::room(read::<RoomOnly>(op, text)?.room)? },
        "delete_hook" => {
            Op::Change(Change::DeleteHook { hook: named_user(&read::<HookOnly>(op, text)?.hook)? })
        }
        "create_subscription" => {
            let CreateSubscription { room, url, events } = read(op, text)?;
            if events.is_some_and(|events| events != ["message"]) {
                return Err(bad("events must be [\"message\"]: nothing else is posted"));
            }
            Op::CreateSubscription { room: rules::room(room)?, url }
        }
        "list_subscriptions" => {
            Op::ListSubscriptions { room: rules::room(read::<RoomOnly>(op, text)?.room)? }
        }
        "delete_subscription" => {
            let SubscriptionOnly { subscription } = read(op, text)?;
            Op::Change(Change::DeleteSubscription { subscription })
        }
        "set_registration" => {
            let SetRegistration { mode } = read(op, text)?;
            let mode = Registration::of_name(&mode).ok_or_else(|| bad("mode must be open or closed"))?;
            Op::Change(Change::SetRegistration { mode })
        }
        "set_room" => {
            let SetRoom { room, name, topic } = read(op, text)?;
            if name.is_none() && topic.is_none() {
                return Err(bad("name or topic is missing: it must be a string"));
            }
            let name = name.map(|name| rules::room_name(&name)).transpose()?;
            let topic = topic.map(|topic| rules::topic(&topic)).transpose()?;
            Op::Change(Change::SetRoom { room: rules::room(room)?, name, topic })
        }
        _ => {
            read::<IgnoredAny>(op, text)?;
            match op {
                "list_sessions" => Op::ListSessions,
                "list_invites" => Op::ListInvites,
                "list_bots" => Op::ListBots,
                _ => Op::Server,
            }
        }
    })
}

#[derive(Deserialize)]
struct SetProfile {
    display: String,
}

#[derive(Deserialize)]
struct EndSession {
    session: String,
}

#[derive(Deserialize)]
struct SetRole {
    user: String,
    role: String,
}

#[derive(Deserialize)]
struct SetDisabled {
    user: String,
    disabled: bool,
}

#[derive(Deserialize)]
struct ResetPassword {
    user: String,
}

#[derive(Deserialize)]
struct SetPassword {
    link: String,
    password: String,
}

#[derive(Deserialize)]
struct CreateInvite {
    uses: Option<u64>,
    hours: Option<u64>,
}

#[derive(Deserialize)]
struct RevokeInvite {
    invite: String,
}

#[derive(Deserialize)]
struct CreateBot {
    name: String,
    display: Option<String>,
    rights: Vec<String>,
}

#[derive(Deserialize)]
struct CreateHook {
    room: u64,
    name: String,
    display: Option<String>,
}

#[derive(Deserialize)]
struct CreateSubscription {
    room: u64,
    url: String,
    events: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct SubscriptionOnly {
    subscription: SubscriptionId,
}

#[derive(Deserialize)]
struct HookOnly {
    hook: String,
}

#[derive(Deserialize)]
struct BotOnly {
    bot: String,
}

#[derive(Deserialize)]
struct SetRegistration {
    mode: String,
}

#[derive(Deserialize)]
struct SetRoom {
    room: u64,
    name: Option<String>,
    topic: Option<String>,
}
