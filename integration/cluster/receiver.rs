//! A program to which messages are posted, on a port of its own: it writes down what comes, and answers as it is told.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
    BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{ports, tls};

/// Tells the posts apart from everything else that a client could be.
const FIRST_LINE: &str = "POST /hook HTTP/1.1";
/// Names what is posted, also when it comes again.
const NAME: &str = "x-chat-delivery";

/// One post.
#[derive(Clone, Debug)]
pub struct Posted {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Posted {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name}: {:?}", self.headers), |(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn seq(&self) -> u64 {
        super::number(&self.json(), "seq")
    }
}

#[derive(Default)]
struct Heard {
    posts: Vec<Posted>,
    /// What is answered instead of 200, and for how many posts.
    other_answers: Option<(Manner, usize)>,
    /// Posts that were answered otherwise.
    otherwise: usize,
}

/// How a receiver answers.
#[derive(Clone, Debug)]
enum Manner {
    /// With this status line.
    Status(String),
    /// It hangs up.
    Closing,
    Odd(Odd),
}

/// What no receiver should do.
#[derive(Clone, Copy, Debug)]
pub enum Odd {
    /// It takes the post, and is silent for good.
    Hangs,
    /// It takes the post and says so, then sends the rest of its answer byte by byte, for good.
    Trickles,
    /// It takes the post and says so, with an answer that does not end.
    Floods,
}

pub struct Receiver {
    port: u16,
    tls: Option<TlsAcceptor>,
    heard: Arc<Mutex<Heard>>,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that speaks TLS, and the file with its certificate, which nobody trusts yet.
    pub async fn start_with_tls(folder: &Path) -> (Self, PathBuf) {
        let (acceptor, file) = tls::acceptor(folder);
        (Self::start_with(Some(acceptor)).await, file)
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let mut receiver = Self { port: ports::free(), tls, heard: Arc::default(), listening: None };
        receiver.listen().await;
        receiver
    }

    /// After [`Receiver::close`], at the same port.
    pub async fn listen(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let (tls, heard) = (self.tls.clone(), Arc::clone(&self.heard));
        self.listening = Some(actix::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix::spawn(serve(stream, tls.clone(), Arc::clone(&heard)));
            }
        }));
    }

    /// Its port refuses connections from here on; one that is open is closed with its next post, unheard.
    pub async fn close(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _aborted = listening.await;
        }
        self.heard.lock().unwrap().other_answers = Some((Manner::Closing, usize::MAX));
    }

    /// Answers the next posts with this status line, and does not take them.
    pub fn answer_next(&self, status: &str, posts: usize) {
        self.heard.lock().unwrap().other_answers = Some((Manner::Status(status.to_owned()), posts));
    }

    /// Behaves like this at the next posts.
    pub fn be_odd(&self, odd: Odd, posts: usize) {
        self.heard.lock().unwrap().other_answers = Some((Manner::Odd(odd), posts));
    }

    /// From now on it does as it should.
    pub fn be_good(&self) {
        self.heard.lock().unwrap().other_answers = None;
    }

    /// To how many posts it did not answer as it should.
    pub fn otherwise(&self) -> usize {
        self.heard.lock().unwrap().otherwise
    }

    pub fn url(&self) -> String {
        match self.tls {
            None => format!("http://127.0.0.1:{}/hook", self.port),
            Some(_) => format!("https://localhost:{}/hook", self.port),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it took so far.
    pub fn posts(&self) -> Vec<Posted> {
        self.heard.lock().unwrap().posts.clone()
    }

    /// What it took so far, each message once: one that was not written down as posted when leadership moved comes again
    /// under its name, and says the same.
    pub fn posts_once(&self) -> Vec<Posted> {
        let mut once: Vec<Posted> = Vec::new();
        for post in self.posts() {
            match once.iter().find(|known| known.header(NAME) == post.header(NAME)) {
                None => once.push(post),
                Some(known) => assert_eq!(known.json(), post.json(), "{}", post.header(NAME)),
            }
        }
        once
    }

    /// The places of the messages that it took, each once.
    pub fn seqs(&self) -> Vec<u64> {
        self.posts_once().iter().map(Posted::seq).collect()
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, heard: Arc<Mutex<Heard>>) {
    match tls {
        None => exchange(stream, &heard).await,
        Some(tls) => {
            // A client that does not trust the certificate ends it here.
            if let Ok(stream) = tls.accept(stream).await {
                exchange(stream, &heard).await;
            }
        }
    }
}

/// Posts, one after the other, until the connection ends.
async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Mutex<Heard>) {
    let mut stream = BufReader::new(stream);
    while let Some(posted) = read(&mut stream).await {
        let manner = {
            let mut heard = heard.lock().unwrap();
            let other = heard.other_answers.as_mut().filter(|(_, left)| *left > 0).map(|(manner, left)| {
                *left -= 1;
                manner.clone()
            });
            heard.otherwise += usize::from(other.is_some());
            if matches!(other, None | Some(Manner::Odd(_))) {
                heard.posts.push(posted);
            }
            other.unwrap_or_else(|| Manner::Status("200 OK".to_owned()))
        };
        let said = match manner {
            Manner::Closing => return,
            Manner::Status(status) => {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
                say(&mut stream, &answer).await
            }
            Manner::Odd(odd) => misbehave(&mut stream, odd).await,
        };
        if said.is_err() {
            return;
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await
}

/// Until whoever posted hangs up.
async fn misbehave(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), odd: Odd) -> io::Result<()> {
    const BEGINS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    match odd {
        Odd::Hangs => stream.read_u8().await.map(drop),
        Odd::Trickles => {
            say(stream, BEGINS).await?;
            loop {
                say(stream, "1\r\nx\r\n").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Odd::Floods => {
            say(stream, BEGINS).await?;
            let much = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            loop {
                say(stream, &much).await?;
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<Posted> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let bytes = stream.read_line(&mut line).await.ok()?;
        match line.trim_end() {
            _ if bytes == 0 => return None,
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    assert_eq!(lines.first().map(String::as_str), Some(FIRST_LINE));
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut posted = Posted { headers, body: String::new() };
    let mut body = vec![0; posted.header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    posted.body = String::from_utf8(body).unwrap();
    Some(posted)
}
