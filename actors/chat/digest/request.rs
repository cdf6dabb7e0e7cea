//! What a request asks for.

use super::Canon;
use crate::chat::command::{Change, Command, Report, RequestDigest};
use crate::chat::objects::Role;

/// The digest of what a command asks for: the same request gives the same, whatever its session salted
/// or drew for it. A password is not part of it; where another one must count as another request, the
/// change brings a digest of its own.
pub fn of_request(command: &Command) -> RequestDigest {
    let mut canon = Canon::new("request");
    match &command.change {
        Change::Register { display, link, .. } => {
            canon.text("register").text(&command.user).text(display);
            if let Some(link) = link {
                canon.bytes(link);
            }
        }
        Change::Login { .. } => {
            canon.text("login");
        }
        Change::Logout { token_hash } => {
            canon.text("logout").bytes(token_hash);
        }
        Change::ChangePassword { request, .. } => {
            canon.text("change_password").bytes(request);
        }
        Change::DeleteAccount { .. } => {
            canon.text("delete_account");
        }
        Change::CreateRoom { name, kind, topic } => {
            canon.text("create_room").text(name).room_kind(*kind).text(topic);
        }
        Change::Join { room } => {
            canon.text("join").number(room.0);
        }
        Change::Leave { room } => {
            canon.text("leave").number(room.0);
        }
        Change::Invite { room, user } => {
            canon.text("invite").number(room.0).text(user);
        }
        Change::Remove { room, user } => {
            canon.text("remove").number(room.0).text(user);
        }
        Change::OpenDirect { users } => {
            canon.text("open_direct").texts(users);
        }
        Change::Send { room, text, reply_to } => {
            canon.text("send").number(room.0).text(text).maybe(reply_to.map(|seq| seq.0));
        }
        // Not where the bytes were when it was asked: that differs from node to node.
        Change::SendFiles { room, text, reply_to, files } => {
            canon.text("send").number(room.0).text(text).maybe(reply_to.map(|seq| seq.0));
            canon.number(files.len() as u64);
            for file in files {
                canon.text(&file.file.to_string()).text(&file.name);
            }
        }
        // Whether the old text is kept is for the nodes to settle: the request is the same.
        Change::Edit { room, seq, text, version, keep: _ } => {
            canon.text("edit").number(room.0).number(seq.0).text(text).maybe(*version);
        }
        Change::Delete { room, seqs } => {
            canon.text("delete").number(room.0).number(seqs.len() as u64);
            for seq in seqs {
                canon.number(seq.0);
            }
        }
        Change::React { room, seq, emoji, on } => {
            canon.text("react").number(room.0).number(seq.0).text(emoji).flag(*on);
        }
        Change::MarkRead { room, seq } => {
            canon.text("mark_read").number(room.0).number(seq.0);
        }
        Change::Mute { room, on } => {
            canon.text("mute").number(room.0).flag(*on);
        }
        Change::SetProfile { display } => {
            canon.text("set_profile").text(display);
        }
        Change::EndSession { session } => {
            canon.text("end_session").bytes(session);
        }
        Change::SetRole { user, role } => {
            canon.text("set_role").text(user).flag(*role == Role::Admin);
        }
        Change::SetDisabled { user, disabled } => {
            canon.text("set_disabled").text(user).flag(*disabled);
        }
        Change::SetRegistration { mode } => {
            canon.text("set_registration").text(mode.name());
        }
        Change::SetRoom { room, name, topic } => {
            canon.text("set_room").number(room.0).maybe_text(name.as_deref()).maybe_text(topic.as_deref());
        }
        Change::CreateInvite { uses, hours, .. } => {
            canon.text("create_invite").number(*uses).number(*hours);
        }
        Change::RevokeInvite { invite } => {
            canon.text("revoke_invite").bytes(invite);
        }
        Change::CreateBot { name, display, rights, .. } => {
            canon.text("create_bot").text(name).text(display).texts(rights);
        }
        Change::CreateHook { room, name, display, .. } => {
            canon.text("create_hook").number(room.0).text(name).text(display);
        }
        Change::DeleteHook { hook } => {
            canon.text("delete_hook").text(hook);
        }
        Change::RenewBotToken { bot, .. } => {
            canon.text("renew_bot_token").text(bot);
        }
        Change::DeleteBot { bot } => {
            canon.text("delete_bot").text(bot);
        }
        Change::CreateSubscription { room, url, .. } => {
            canon.text("create_subscription").number(room.0).text(url);
        }
        Change::DeleteSubscription { subscription } => {
            canon.text("delete_subscription").number(subscription.0);
        }
        Change::Delivered { reports } => {
            canon.text("delivered").number(reports.len() as u64);
            for Report { subscription, delivered, failing_since, error, off } in reports {
                canon
                    .number(subscription.0)
                    .number(delivered.0)
                    .number(*failing_since)
                    .text(error)
                    .flag(*off);
            }
        }
        Change::ResetPassword { user, .. } => {
            canon.text("reset_password").text(user);
        }
        Change::SetPassword { link, request, .. } => {
            canon.text("set_password").bytes(link).bytes(request);
        }
        Change::Appoint { .. } => {
            canon.text("appoint");
        }
        // Its items are what finds repeats.
        Change::Import { items, .. } => {
            canon.text("import").number(items.len() as u64);
        }
    }
    canon.half()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Attached, LoginOp};
    use crate::chat::objects::RoomKind;
    use crate::chat::tables::Registration;
    use crate::ids::{FileId, RoomId, Seq, SubscriptionId};

    fn of(change: Change) -> RequestDigest {
        of_request(&Command { user: "ann".into(), id: "1".into(), change })
    }

    fn register(display: &str, password_hash: &str, token: u8) -> Change {
        Change::Register {
            display: display.into(),
            password_hash: password_hash.into(),
            token_hash: [token; 32],
            first_is_admin: false,
            link: None,
            closed: false,
            agent: None,
        }
    }

    fn attached(number: u8, name: &str, uploaded: bool) -> Attached {
        let kind = "text/plain".to_owned();
        Attached { file: FileId([number; 32]), name: name.into(), bytes: 5, kind, uploaded }
    }

    #[test]
    fn where_bytes_were_makes_no_difference() {
        let send = |file: Attached| Change::SendFiles {
            room: RoomId(1),
            text: String::new(),
            reply_to: None,
            files: vec![file],
        };
        let elsewhere = Attached { bytes: 0, ..attached(1, "a", false) };
        assert_eq!(of(send(attached(1, "a", true))), of(send(elsewhere)));
    }

    #[test]
    fn what_a_session_salts_or_draws_makes_no_difference() {
        assert_eq!(of(register("Ann", "a", 1)), of(register("Ann", "b", 2)));
        assert_ne!(of(register("Ann", "a", 1)), of(register("Anna", "a", 1)));
        let login = |hash: &str, op| Change::Login {
            token_hash: [1; 32],
            password_hash: hash.into(),
            op,
            agent: None,
        };
        assert_eq!(of(login("a", LoginOp::Login)), of(login("b", LoginOp::Login)));
    }

    #[test]
    fn what_was_added_counts_only_when_it_is_there() {
        let mut with_link = register("Ann", "a", 1);
        if let Change::Register { link, closed, agent, .. } = &mut with_link {
            (*closed, *agent) = (true, Some("x".into()));
            *link = Some([1; 32]);
        }
        assert_ne!(of(with_link.clone()), of(register("Ann", "a", 1)));
        if let Change::Register { link, .. } = &mut with_link {
            *link = None;
        }
        assert_eq!(of(with_link), of(register("Ann", "a", 1)));
        let invite = |link| Change::CreateInvite { uses: 1, hours: 1, link: [link; 32] };
        assert_eq!(of(invite(1)), of(invite(2)));
    }

    #[test]
    fn an_edit_is_the_same_request_whether_the_old_text_is_kept_or_not() {
        let edit =
            |keep| Change::Edit { room: RoomId(1), seq: Seq(2), text: "a".into(), version: None, keep };
        assert_eq!(of(edit(true)), of(edit(false)));
        assert_eq!(edit(true).in_earlier_words(), Some(edit(false)));
        assert_eq!(edit(false).in_earlier_words(), None);
    }

    #[test]
    fn every_field_counts_and_none_runs_into_the_next() {
        let (room, seq) = (RoomId(1), Seq(2));
        let send = |text: &str, reply_to| Change::Send { room, text: text.into(), reply_to };
        let files = |text: &str, files: &[(u8, &str)]| Change::SendFiles {
            room,
            text: text.into(),
            reply_to: None,
            files: files.iter().map(|&(number, name)| attached(number, name, true)).collect(),
        };
        let create = |name: &str, topic: &str| Change::CreateRoom {
            name: name.into(),
            kind: RoomKind::Public,
            topic: topic.into(),
        };
        let all = [
            send("a", None),
            send("b", None),
            send("a", Some(Seq(0))),
            send("a", Some(seq)),
            create("ab", "c"),
            create("a", "bc"),
            Change::Join { room },
            Change::Leave { room },
            Change::Join { room: RoomId(2) },
            Change::Invite { room, user: "bob".into() },
            Change::Remove { room, user: "bob".into() },
            Change::OpenDirect { users: vec!["ann".into(), "bob".into()] },
            Change::Edit { room, seq, text: "a".into(), version: None, keep: true },
            Change::Edit { room, seq, text: "a".into(), version: Some(1), keep: true },
            Change::Delete { room, seqs: vec![seq] },
            Change::Delete { room, seqs: vec![seq, seq] },
            Change::React { room, seq, emoji: "+".into(), on: true },
            Change::React { room, seq, emoji: "+".into(), on: false },
            Change::MarkRead { room, seq },
            Change::Mute { room, on: true },
            Change::Mute { room, on: false },
            Change::SetProfile { display: "a".into() },
            Change::EndSession { session: [1; 8] },
            Change::RevokeInvite { invite: [1; 8] },
            Change::SetRole { user: "bob".into(), role: Role::Admin },
            Change::SetRole { user: "bob".into(), role: Role::Member },
            Change::SetDisabled { user: "bob".into(), disabled: true },
            Change::SetDisabled { user: "bob".into(), disabled: false },
            Change::SetRegistration { mode: Registration::Open },
            Change::SetRegistration { mode: Registration::Closed },
            Change::SetRoom { room, name: Some("a".into()), topic: None },
            Change::SetRoom { room, name: None, topic: Some("a".into()) },
            Change::SetRoom { room, name: Some("a".into()), topic: Some(String::new()) },
            Change::CreateInvite { uses: 1, hours: 2, link: [1; 32] },
            Change::CreateInvite { uses: 2, hours: 1, link: [1; 32] },
            Change::ResetPassword { user: "bob".into(), link: [1; 32] },
            Change::SetPassword { link: [1; 32], new_hash: "a".into(), request: [1; 16] },
            Change::SetPassword { link: [2; 32], new_hash: "a".into(), request: [1; 16] },
            Change::SetPassword { link: [1; 32], new_hash: "a".into(), request: [2; 16] },
            Change::Appoint { link: [1; 32] },
            Change::CreateSubscription { room, url: "a".into(), secret: "b".into() },
            Change::CreateSubscription { room, url: "b".into(), secret: "b".into() },
            Change::DeleteSubscription { subscription: SubscriptionId(1) },
            files("a", &[(1, "b")]),
            files("a", &[(1, "c")]),
            files("a", &[(2, "b")]),
            files("a", &[(1, "b"), (1, "b")]),
        ];
        for (i, one) in all.iter().enumerate() {
            for (j, other) in all.iter().enumerate() {
                assert_eq!(of(one.clone()) == of(other.clone()), i == j, "{one:?} and {other:?}");
            }
        }
    }

    /// Stored beside rows for good: a change here would turn every repeat into a conflict.
    #[test]
    fn digests_stay_as_they_are() {
        let digest = of(Change::Send { room: RoomId(12), text: "hi".into(), reply_to: None });
        assert_eq!(hex::encode(digest), "7783ffe18d9419747ae5e44242ba6d60");
    }
}
