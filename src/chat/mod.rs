//! `chat`: the terminal client.
//!
//! - `client`, `pauses`: the connection to the cluster and who is tried when, as a pure core; `line`: the same on real
//!   WebSockets.
//! - `frames`: what a node says, with types.
//! - `queue`: the order in which what was written leaves, pure; `keep`: the file in which it waits, with the tokens.
//! - `talk`: line, queue and file together.
//! - `places`, `feed`: which room is meant, and a room's events without a hole; pure.
//! - `script`: one message sent, events followed, or what one may see written to a file; without a screen.
//! - `state`: the chat as the screen knows it; `screen`: drawing, and what keys do.
//! - `commands`, `input`, `keys`: what is written there.
//! - `clean`: others' texts, made harmless for a terminal.
//! - `password`: names and passwords, asked for.

mod clean;
mod client;
mod commands;
mod feed;
mod frames;
mod input;
mod keep;
mod keys;
mod line;
mod password;
mod pauses;
mod places;
mod queue;
mod screen;
mod script;
mod state;
mod talk;

use std::path::PathBuf;
use std::time::Duration;

use clap::value_parser;

use self::client::Handshake;
use self::keep::{Account, Keep};
use self::password::Terminal;
use self::places::Place;
use self::script::Where;
use self::talk::Talk;
use crate::failure::WrongUsage;
use crate::settings::HttpUrl;

#[derive(Debug, Clone, clap::Args)]
pub struct ChatArguments {
    /// Nodes of the chat; one is enough, the cluster names the others
    #[arg(value_name = "URL", required = true, value_parser = node_url)]
    urls: Vec<HttpUrl>,
    /// Who you are; asked for when it is not known from before. The password is asked for, or CHAT_PASSWORD
    #[arg(long)]
    name: Option<String>,
    /// Make a new account
    #[arg(long)]
    register: bool,
    /// A room by its name, or @NAME for the conversation with one person
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// Enter that room if you are not in it
    #[arg(long, requires = "room")]
    join: bool,
    /// Send this to the room (- for standard input), print the message's number and end
    #[arg(
        long,
        value_name = "TEXT",
        requires = "room",
        conflicts_with = "follow",
        allow_hyphen_values = true
    )]
    send: Option<String>,
    /// How many seconds to wait for the acknowledgement
    #[arg(long, default_value_t = 30, requires = "send", value_parser = value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Print what is said, in that room or in all
    #[arg(long)]
    follow: bool,
    /// Print each event as one line of JSON
    #[arg(long, requires = "follow", conflicts_with = "send")]
    json: bool,
    /// Begin behind this message of the room, not with what comes
    #[arg(long, value_name = "SEQ", requires_all = ["follow", "room"])]
    after: Option<u64>,
    /// Write all that you may see as lines of JSON; it must not be there yet. The bytes of files go into FILE.files
    #[arg(long, value_name = "FILE", conflicts_with_all = ["room", "send", "follow"])]
    export: Option<PathBuf>,
}

/// The chat lets us in no more.
#[derive(Debug, thiserror::Error)]
#[error("not logged in: {0}; give the password again (asked for in a terminal, or CHAT_PASSWORD)")]
struct LoggedOut(String);

/// Talks until there is nothing more to do.
///
/// # Errors
/// When nobody lets us in, or what was asked for could not be done.
pub fn run(arguments: &ChatArguments) -> anyhow::Result<()> {
    if arguments.send.is_none() && !arguments.follow && arguments.export.is_none() {
        screen::check()?;
    }
    let text = arguments.send.as_deref().map(script::text).transpose()?;
    let keep = || Keep::open(&keep::state_dir()?);
    let urls: Vec<String> = arguments.urls.iter().map(|url| client::origin(url.as_str())).collect();
    let (handshake, account) = who(arguments, &keep()?, &urls)?;
    let by_token = matches!(handshake, Handshake::Token(_));
    match talk(arguments, text.as_deref(), keep()?, &urls, handshake, account) {
        // The token was no longer good, and is forgotten; a password may be.
        Err(error) if error.is::<LoggedOut>() && by_token && may_ask() => {
            let (handshake, account) = who(arguments, &keep()?, &urls)?;
            talk(arguments, text.as_deref(), keep()?, &urls, handshake, account)
        }
        ended => ended,
    }
}

fn talk(
    arguments: &ChatArguments,
    text: Option<&str>,
    keep: Keep,
    urls: &[String],
    handshake: Handshake,
    account: Option<Account>,
) -> anyhow::Result<()> {
    let place =
        arguments.room.as_deref().map(|room| Where { room: Place::parse(room), joins: arguments.join });
    actix::System::new().block_on(async {
        let mut talk = Talk::start(keep, urls.to_vec(), handshake, account)?;
        if let Some(file) = &arguments.export {
            return script::export(&mut talk, file).await;
        }
        match (text, &place) {
            (Some(text), Some(place)) => {
                script::send(&mut talk, place, text, Duration::from_secs(arguments.timeout)).await
            }
            _ if arguments.follow => {
                script::follow(&mut talk, place.as_ref(), arguments.after, arguments.json).await
            }
            _ => screen::run(&mut talk, place.map(|place| place.room)).await,
        }
    })
}

/// By which words we are let in, and as whom if that is known.
fn who(
    arguments: &ChatArguments,
    keep: &Keep,
    urls: &[String],
) -> anyhow::Result<(Handshake, Option<Account>)> {
    let name = arguments.name.as_deref().map(str::to_lowercase);
    let account = match arguments.register {
        true => None,
        false => keep.find(urls, name.as_deref())?,
    };
    if let Some(token) = account.as_ref().and_then(|account| account.token.clone()) {
        return Ok((Handshake::Token(token), account));
    }
    let name = match name.or_else(|| account.as_ref().map(|account| account.name.clone())) {
        Some(name) => name,
        None => at_terminal("--name NAME")?.ask("Name")?.to_lowercase(),
    };
    let password = match password::from_environment() {
        Some(password) => password,
        None => new_or_old_password(arguments.register, &name)?,
    };
    let op = if arguments.register { "register" } else { "login" };
    let id = uuid::Uuid::now_v7().to_string();
    Ok((Handshake::Password { op, id, name, password }, account))
}

fn new_or_old_password(is_new: bool, name: &str) -> anyhow::Result<String> {
    let mut terminal = at_terminal("CHAT_PASSWORD in the environment")?;
    let password = terminal.ask_silently(&format!("Password of {name}"))?;
    if is_new && terminal.ask_silently("The same again")? != password {
        anyhow::bail!("the two passwords differ: nothing was done, try again");
    }
    Ok(password)
}

fn at_terminal(instead: &str) -> Result<Terminal, WrongUsage> {
    let missing =
        || WrongUsage(format!("nobody is logged in here, and there is no terminal to ask: give {instead}"));
    Terminal::open().ok_or_else(missing)
}

fn may_ask() -> bool {
    password::from_environment().is_some() || Terminal::open().is_some()
}

fn node_url(text: &str) -> Result<HttpUrl, String> {
    let wrong = || "must be http:// or https://, a host and perhaps a port, such as http://127.0.0.1:8101";
    HttpUrl::parse(text).ok_or_else(|| wrong().into())
}
