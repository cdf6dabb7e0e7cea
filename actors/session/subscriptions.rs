//! Where the messages of a room are posted: what an address must be, and the secret that is drawn for it.

use std::sync::Arc;

use awc::http::Uri;

use super::accounts::draw_token;
use super::bots::hidden;
use super::executor::{Executor, Started, Who, outcome, within};
use super::reply::{Answer, ListedSubscription, NewSubscription, Problem, Reply};
use crate::chat::command::{Change, Command};
use crate::chat::outcome::{Code, Done, Outcome};
use crate::chat::rules;
use crate::chat::tables::Serving;
use crate::courier::addresses;
use crate::ids::RoomId;
use crate::messages::reading::{SubscriptionSeen, Subscriptions};

/// An address to post to, as it is kept.
///
/// # Errors
/// `bad_request`, with what is wrong.
fn checked(url: &str, allow_private: bool) -> Result<String, Problem> {
    let bad = |why: &str| Err(Problem::new(Code::BadRequest, why));
    rules::url(url)?;
    let wrong = "url must begin with http:// or https:// and name a host, without a name, a password or a #";
    let Ok(uri) = url.parse::<Uri>() else { return bad(wrong) };
    let bare = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let Some(host) = uri.host().filter(|host| bare && !host.is_empty() && !url.contains('#')) else {
        return bad(wrong);
    };
    if !allow_private && !addresses::may_be_public(host) {
        return bad(
            "url must name a public address, unless this chat's operators allow others (hooks.allow_private)",
        );
    }
    Ok(url.to_owned())
}

impl Executor {
    pub(super) fn create_subscription(
        self: &Arc<Self>,
        who: &Who,
        id: &str,
        room: RoomId,
        url: &str,
    ) -> Started {
        let start = || {
            let url = checked(url, self.config.allow_private)?;
            self.count_other(&who.user)?;
            let (secret, _) = draw_token()?;
            let change = Change::CreateSubscription { room, url: url.clone(), secret };
            let command = Command { user: who.user.clone(), id: id.to_owned(), change };
            Ok((url, self.propose(command)?))
        };
        let (url, asked) = match start() {
            Ok(started) => started,
            Err(problem) => return Started::Now(Err(problem)),
        };
        Started::Later(Box::pin(async move {
            let Outcome { at, duplicate, done } = within(outcome(asked)).await?;
            let Done::Subscribed { subscription, secret } = done else {
                tracing::error!(?done, "a subscription was answered with something else");
                return Err(Problem::internal());
            };
            let subscription = NewSubscription { id: subscription, room, url, secret };
            Ok(Answer::Subscribed { subscription, at, duplicate })
        }))
    }

    pub(super) async fn list_subscriptions(&self, user: String, room: RoomId) -> Reply {
        let ask = |reply| Subscriptions { user, room, reply };
        let found = self.read(&self.ports.subscriptions, ask).await?;
        let found = found.map_err(|why| hidden(why, "see where its messages are posted"))?;
        Ok(Answer::Subscriptions { subscriptions: found.into_iter().map(listed).collect() })
    }
}

fn listed(SubscriptionSeen { row, allowed }: SubscriptionSeen) -> ListedSubscription {
    let state = match row.state {
        Serving::On if !allowed => "paused",
        state => state.name(),
    };
    ListedSubscription {
        id: row.subscription,
        room: row.room,
        url: row.url,
        by: row.by,
        state,
        delivered: row.delivered,
        failing_since: Some(row.failing_since).filter(|since| *since > 0),
        error: Some(row.error).filter(|error| !error.is_empty()),
        time: row.time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_and_public() {
        for (url, good) in [
            ("https://example.org/hooks/chat?key=1", true),
            ("http://8.8.8.8:8080", true),
            ("https://[2606:4700::1111]/a", true),
            ("ftp://example.org/", false),
            ("example.org/hook", false),
            ("/hook", false),
            ("https://", false),
            ("https://ann:secret@example.org/", false),
            ("https://example.org/#part", false),
            ("https://example.org/a b", false),
            ("https://ex\u{e4}mple.org/", false),
            ("http://127.0.0.1/", false),
            ("http://localhost:80/", false),
            ("http://[::1]/", false),
            ("http://10.0.0.1/", false),
            ("", false),
        ] {
            let checked = checked(url, false);
            assert_eq!(checked.is_ok(), good, "{url}: {checked:?}");
        }
        assert!(checked("http://127.0.0.1/", true).is_ok());
        assert!(checked(&format!("http://a/{}", "a".repeat(rules::URL_BYTES_MAX)), true).is_err());
    }
}
