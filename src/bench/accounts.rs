//! People and rooms for the load: made before it starts, removed after it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::arguments::BenchArguments;
use super::connection::{Connection, Trouble};

/// Hashing a password takes a processor about 30 ms, so more at a time would only wait.
const REGISTRATIONS_AT_ONCE: usize = 8;
const CONNECTIONS_AT_ONCE: usize = 64;
const ROOMS_AT_ONCE: usize = 32;

/// More than a node answers to `register`.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// Before a node is asked once more that does not say when.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How long a node has to delete an account.
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// Somebody who is registered for this run, or is being registered.
#[derive(Debug, Clone)]
struct Account {
    name: String,
    /// Of the request that registers it: repeating that is safe.
    id: String,
    /// `None` until the node has answered.
    token: Option<String>,
    node: usize,
}

/// Every account of this run so far, so that all can be deleted whatever ends it.
#[derive(Debug, Clone)]
pub struct Accounts {
    run: u16,
    tag: String,
    password: String,
    made: Rc<RefCell<Vec<Account>>>,
}

/// A connection that is logged in, and where it belongs.
pub struct Seat {
    pub connection: Connection,
    pub token: String,
    pub room: u64,
    pub node: usize,
}

/// Everything that the load needs.
pub struct Cast {
    pub clients: Vec<Seat>,
    pub listeners: Vec<Seat>,
}

impl Accounts {
    /// No accounts yet; their names will begin with `bench-` and something random.
    ///
    /// # Errors
    /// When the system has no random bytes for us.
    pub fn new() -> anyhow::Result<Self> {
        let mut random = [0; 20];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let made = Rc::default();
        let run = u16::from_be_bytes([random[0], random[1]]) >> 4;
        Ok(Self { run, tag: hex::encode(&random[..4]), password: hex::encode(&random[4..]), made })
    }

    /// What tells the messages of this run from others.
    pub fn run(&self) -> u16 {
        self.run
    }

    /// How all names begin.
    pub fn prefix(&self) -> String {
        self.name("")
    }

    /// Asks a running cluster for its nodes and the longest message it takes, by registering there.
    ///
    /// # Errors
    /// When that node does not answer or registers nobody.
    pub async fn look_around(
        &self,
        client: &Client,
        server: &str,
    ) -> Result<(Vec<String>, Option<u64>), Trouble> {
        let (_, reply) = self.register(client, &[server.to_owned()], "scout".into(), 0).await?;
        let urls = reply["nodes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let urls: Vec<String> = urls.map(|url| url.trim_end_matches('/').to_owned()).collect();
        let message_bytes = reply["limits"]["message_bytes"].as_u64();
        Ok((if urls.is_empty() { vec![server.to_owned()] } else { urls }, message_bytes))
    }

    /// Registers everybody, makes the rooms, and seats clients and listeners.
    ///
    /// # Errors
    /// When a node refuses any of it.
    pub async fn assemble(
        &self,
        client: &Client,
        urls: &[String],
        arguments: &BenchArguments,
    ) -> Result<Cast, Trouble> {
        let (clients, rooms, listeners) =
            (arguments.clients as usize, arguments.rooms() as usize, arguments.listeners as usize);
        // The members of a room are spread over the nodes, also when rooms and nodes divide each other.
        let node_of = |number: usize| (number + number / rooms) % urls.len();

        let registering = (0..clients).map(|number| async move {
            let (connection, reply) =
                self.register(client, urls, format!("c{number}"), node_of(number)).await?;
            let token = text(&reply, "token");
            Ok::<Seat, Trouble>(Seat { connection, token, room: 0, node: node_of(number) })
        });
        let mut seats: Vec<Seat> =
            stream::iter(registering).buffered(REGISTRATIONS_AT_ONCE).try_collect().await?;

        // One account a room is enough for all who listen there.
        let hosts = rooms.min(listeners);
        let registering = (0..hosts).map(|number| async move {
            let (connection, reply) =
                self.register(client, urls, format!("l{number}"), node_of(number)).await?;
            let token = text(&reply, "token");
            Ok::<Seat, Trouble>(Seat { connection, token, room: 0, node: node_of(number) })
        });
        let mut audience: Vec<Seat> =
            stream::iter(registering).buffered(REGISTRATIONS_AT_ONCE).try_collect().await?;

        let making = seats[..rooms].iter_mut().enumerate().map(|(room, seat)| async move {
            // Private, so that a running cluster's people never see it.
            let made = json!({"name": format!("bench-{}-{room}", self.tag), "kind": "private"});
            let reply = seat.connection.ask("create_room", made).await?;
            let number = reply["room"]["room"].as_u64().or_else(|| reply["room"].as_u64());
            let number = number.ok_or_else(|| Trouble::Lost("create_room told no room".into()))?;
            let members = (room + rooms..clients).step_by(rooms).map(|number| format!("c{number}"));
            for member in members.chain((room < hosts).then(|| format!("l{room}"))) {
                let invited = json!({"room": number, "user": self.name(&member)});
                seat.connection.ask("invite", invited).await?;
            }
            Ok::<u64, Trouble>(number)
        });
        let numbers: Vec<u64> = stream::iter(making).buffered(ROOMS_AT_ONCE).try_collect().await?;
        for (number, seat) in seats.iter_mut().enumerate() {
            seat.room = numbers[number % rooms];
        }
        for (number, seat) in audience.iter_mut().enumerate() {
            seat.room = numbers[number];
        }

        let tokens: Vec<String> = audience.iter().map(|seat| seat.token.clone()).collect();
        let (tokens, numbers) = (&tokens, &numbers);
        let joining = (hosts..listeners).map(|number| async move {
            let (room, node) = (number % rooms, node_of(number));
            let connection = hello(client, &urls[node], &tokens[room]).await?;
            Ok::<Seat, Trouble>(Seat { connection, token: tokens[room].clone(), room: numbers[room], node })
        });
        let more: Vec<Seat> = stream::iter(joining).buffered(CONNECTIONS_AT_ONCE).try_collect().await?;
        audience.extend(more);
        Ok(Cast { clients: seats, listeners: audience })
    }

    /// Deletes every account, and returns how many would not go.
    pub async fn delete_all(&self, client: &Client, urls: &[String]) -> usize {
        let made: Vec<Account> = self.made.borrow().clone();
        let deleting = made.iter().map(|account| async move {
            let url = &urls[account.node % urls.len()];
            let deleted = tokio::time::timeout(DELETE_TIMEOUT, self.delete(client, url, account)).await;
            usize::from(!deleted.unwrap_or(false))
        });
        let left: Vec<usize> = stream::iter(deleting).buffer_unordered(REGISTRATIONS_AT_ONCE).collect().await;
        left.into_iter().sum()
    }

    /// Whether that account is gone.
    async fn delete(&self, client: &Client, url: &str, account: &Account) -> bool {
        let token = match &account.token {
            Some(token) => token.clone(),
            // Nobody knows whether it was made: after a repetition it is, once, and a late request is but
            // another repetition.
            None => {
                let request = client.post(format!("{url}/api/v1/register"));
                let request = request.insert_header(("Idempotency-Key", account.id.as_str()));
                match request.send_json(&json!({"name": account.name, "password": self.password})).await {
                    Ok(answer) if answer.status().is_client_error() => return true,
                    Ok(mut answer) => match answer.json::<Value>().limit(REPLY_BYTES_MAX).await {
                        Ok(reply) => text(&reply, "token"),
                        Err(_) => return false,
                    },
                    Err(_) => return false,
                }
            }
        };
        let id = uuid::Uuid::now_v7().to_string();
        let mut is_repeated = false;
        // What it sent last may still be under way there, and the node may have much to do.
        loop {
            let request = client.post(format!("{url}/api/v1/delete_account")).bearer_auth(&token);
            let request = request.insert_header(("Idempotency-Key", id.as_str()));
            let Ok(mut answer) = request.send_json(&json!({"password": self.password})).await else {
                return false;
            };
            // A repetition of one that was done is not let in any more; else somebody else has ended the session.
            if answer.status().is_success() || is_repeated && answer.status() == StatusCode::UNAUTHORIZED {
                return true;
            }
            let Ok(reply) = answer.json::<Value>().limit(REPLY_BYTES_MAX).await else { return false };
            if reply["error"]["retry"] != true {
                return false;
            }
            let pause = reply["error"]["retry_after_ms"].as_u64().map_or(RETRY_PAUSE, Duration::from_millis);
            tokio::time::sleep(pause).await;
            is_repeated = true;
        }
    }

    async fn register(
        &self,
        client: &Client,
        urls: &[String],
        name: String,
        node: usize,
    ) -> Result<(Connection, Value), Trouble> {
        let name = self.name(&name);
        let mut connection = Connection::open(client, &urls[node]).await?;
        let id = uuid::Uuid::now_v7().to_string();
        let asked = json!({"name": name, "password": self.password});
        // Noted before it is asked for: whatever ends this run, the account is to go.
        let place = {
            let mut made = self.made.borrow_mut();
            made.push(Account { name, id: id.clone(), token: None, node });
            made.len() - 1
        };
        let reply = connection.ask_as(&id, "register", asked).await?;
        self.made.borrow_mut()[place].token = Some(text(&reply, "token"));
        Ok((connection, reply))
    }

    fn name(&self, who: &str) -> String {
        format!("bench-{}-{who}", self.tag)
    }
}

/// A further connection of an account.
///
/// # Errors
/// When the node does not let it in.
pub async fn hello(client: &Client, url: &str, token: &str) -> Result<Connection, Trouble> {
    let mut connection = Connection::open(client, url).await?;
    connection.ask("hello", json!({"token": token})).await?;
    Ok(connection)
}

fn text(reply: &Value, field: &str) -> String {
    reply[field].as_str().unwrap_or_default().to_owned()
}
