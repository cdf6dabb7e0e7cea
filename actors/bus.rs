//! The message bus: typed, metered ports between actors.
//!
//! Actors know message types, never each other. Each holds [`Port`]s, handed over when the node is
//! wired. An *ask* goes to its one owner; *news* goes to everybody in a [`News`] list. A port puts
//! every message into an [`Envelope`], so that `/metrics` shows for each actor how many messages
//! wait, how many were handled and how long that took. What an actor does without a port (it tells
//! itself to go on, a timer, a client or an answer came) it measures with a [`Meter`], and what it has taken
//! and not done yet it shows as its [`Backlog`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};
use prometheus::IntGauge;
use tokio::sync::oneshot;

use crate::essential::{AtWork, Worker};
use crate::metrics::{ActorMeter, Metrics};

/// A message that goes through a port; `NAME` is its label in `/metrics`.
pub trait Post: Message<Result = ()> + Send + 'static {
    const NAME: &'static str;
}

/// Declares [`Post`] (and the `actix::Message` it rests on) for each type, with its metric label.
#[macro_export]
macro_rules! post {
    ($($message:ty => $name:literal),+ $(,)?) => {$(
        impl actix::Message for $message { type Result = (); }
        impl $crate::bus::Post for $message { const NAME: &'static str = $name; }
    )+};
}

/// A message on its way, with what is needed to meter it.
pub struct Envelope<M: Post> {
    letter: Option<M>,
    meter: Arc<ActorMeter>,
    waiting: Arc<AtomicUsize>,
}

impl<M: Post> Message for Envelope<M> {
    type Result = ();
}

impl<M: Post> Envelope<M> {
    /// Takes the message out. Handling is measured until the returned guard is dropped.
    pub fn open(mut self) -> (M, Handling) {
        let letter = self.letter.take().expect("an envelope is opened once: open() consumes it");
        (letter, Handling::begin(&self.meter))
    }
}

impl<M: Post> Drop for Envelope<M> {
    fn drop(&mut self) {
        self.meter.mailbox.dec();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs while an actor handles a message or does other work; records the time when dropped. It stays on its thread.
pub struct Handling {
    meter: Arc<ActorMeter>,
    started: Instant,
    _at_work: AtWork,
}

impl Handling {
    fn begin(meter: &Arc<ActorMeter>) -> Self {
        let _at_work = AtWork::begin(meter.worker);
        Self { meter: Arc::clone(meter), started: Instant::now(), _at_work }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.meter.handled.inc();
        self.meter.seconds.observe(self.started.elapsed().as_secs_f64());
    }
}

/// Measures one kind of work that comes to an actor by no port, under a name like a message's.
#[derive(Clone)]
pub struct Meter {
    meter: Arc<ActorMeter>,
}

impl Meter {
    /// The work begins. It is measured until the returned guard is dropped.
    pub fn begin(&self) -> Handling {
        Handling::begin(&self.meter)
    }

    /// How long it took so far.
    #[cfg(test)]
    pub fn seconds(&self) -> &prometheus::Histogram {
        &self.meter.seconds
    }
}

/// What an actor has taken and not done yet: shown with what waits in its mailbox.
pub struct Backlog {
    mailbox: IntGauge,
    shown: i64,
}

impl Backlog {
    /// So much it is now.
    pub fn set(&mut self, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.mailbox.add(waiting - self.shown);
        self.shown = waiting;
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.mailbox.sub(self.shown);
    }
}

/// Why a message was not taken; the message comes back.
#[derive(Debug)]
pub enum NotSent<M> {
    /// The mailbox is full: the receiver is slow.
    Full(M),
    /// The actor is gone.
    Closed(M),
}

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("too much waits there already")]
    Full,
    /// Also when it went with the question in its mailbox.
    #[error("the actor is gone: the node is stopping")]
    Gone,
}

impl<M> From<NotSent<M>> for Unanswered {
    fn from(not_sent: NotSent<M>) -> Self {
        match not_sent {
            NotSent::Full(_) => Self::Full,
            NotSent::Closed(_) => Self::Gone,
        }
    }
}

/// Asks an actor that may be slow, and waits for its answer.
///
/// # Errors
/// See [`Unanswered`].
pub async fn ask<M: Post, T>(
    port: &Port<M>,
    question: impl FnOnce(oneshot::Sender<T>) -> M,
) -> Result<T, Unanswered> {
    let (reply, answer) = oneshot::channel();
    port.offer(question(reply))?;
    answer.await.map_err(|_| Unanswered::Gone)
}

/// The same without asking whether there is room: only where what is asked is bounded elsewhere, and for
/// operators, who look just when there is too much to do.
///
/// # Errors
/// [`Unanswered::Gone`].
pub async fn ask_anyway<M: Post, T>(
    port: &Port<M>,
    question: impl FnOnce(oneshot::Sender<T>) -> M,
) -> Result<T, Unanswered> {
    let (reply, answer) = oneshot::channel();
    port.tell(question(reply));
    answer.await.map_err(|_| Unanswered::Gone)
}

/// One actor's place on the bus: its name in `/metrics`, and how many messages may wait for it.
pub struct Seat {
    metrics: Metrics,
    worker: Worker,
    capacity: usize,
    waiting: Arc<AtomicUsize>,
}

impl Seat {
    pub fn new(metrics: &Metrics, actor: &'static str, capacity: usize) -> Self {
        let worker = Worker { actor, is_essential: false };
        Self { metrics: metrics.clone(), worker, capacity, waiting: Arc::default() }
    }

    /// Without whoever sits here a node is none: a panic at its work ends the process.
    pub fn essential(mut self) -> Self {
        self.worker.is_essential = true;
        self
    }

    /// Opens a port for one kind of message to the actor that sits here.
    pub fn port<M: Post>(&self, to: Recipient<Envelope<M>>) -> Port<M> {
        Port {
            to,
            meter: self.metrics.actor(self.worker, M::NAME),
            capacity: self.capacity,
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// The same, by its address.
    pub fn port_to<A, M>(&self, addr: &Addr<A>) -> Port<M>
    where
        A: Actor + Handler<Envelope<M>>,
        A::Context: ToEnvelope<A, Envelope<M>>,
        M: Post,
    {
        self.port(addr.clone().recipient())
    }

    /// For one kind of work that comes by no port.
    pub fn meter(&self, work: &'static str) -> Meter {
        Meter { meter: self.metrics.actor(self.worker, work) }
    }

    /// For what whoever sits here has taken and not done yet.
    pub fn backlog(&self) -> Backlog {
        Backlog { mailbox: self.metrics.mailbox(self.worker.actor), shown: 0 }
    }
}

/// The way to one actor for one kind of message.
pub struct Port<M: Post> {
    to: Recipient<Envelope<M>>,
    meter: Arc<ActorMeter>,
    capacity: usize,
    /// Messages of all kinds that wait for this one actor.
    waiting: Arc<AtomicUsize>,
}

impl<M: Post> Clone for Port<M> {
    fn clone(&self) -> Self {
        Self {
            to: self.to.clone(),
            meter: Arc::clone(&self.meter),
            capacity: self.capacity,
            waiting: Arc::clone(&self.waiting),
        }
    }
}

impl<M: Post> Port<M> {
    /// Offers a message to an actor that may be slow; *full* is for the caller to answer.
    ///
    /// # Errors
    /// [`NotSent::Full`] when the seat's capacity waits already, [`NotSent::Closed`] when the actor is gone.
    pub fn offer(&self, letter: M) -> Result<(), NotSent<M>> {
        if self.waiting.load(Ordering::Relaxed) >= self.capacity {
            return Err(NotSent::Full(letter));
        }
        self.push(letter)
    }

    /// Sends without asking whether there is room: only for news that an outstanding ask bounds.
    /// Lost when the actor is gone: then the node is stopping, or nobody is there to be told.
    pub fn tell(&self, letter: M) {
        let _gone = self.push(letter);
    }

    fn push(&self, letter: M) -> Result<(), NotSent<M>> {
        if !self.to.connected() {
            return Err(NotSent::Closed(letter));
        }
        self.meter.mailbox.inc();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // do_send, not try_send: the bound is our own count, since a sync actor's mailbox has none.
        self.to.do_send(Envelope {
            letter: Some(letter),
            meter: Arc::clone(&self.meter),
            waiting: Arc::clone(&self.waiting),
        });
        Ok(())
    }
}

/// Everybody who subscribed to one kind of news.
#[derive(Clone)]
pub struct News<M: Post + Clone> {
    ports: Vec<Port<M>>,
}

impl<M: Post + Clone> Default for News<M> {
    fn default() -> Self {
        Self { ports: Vec::new() }
    }
}

impl<M: Post + Clone> News<M> {
    pub fn subscribe(&mut self, port: Port<M>) {
        self.ports.push(port);
    }

    /// Tells every subscriber.
    pub fn publish(&self, news: &M) {
        for port in &self.ports {
            port.tell(news.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::Context;

    use super::*;

    struct Question(Option<oneshot::Sender<u8>>);

    post! { Question => "question" }

    /// Answers, unless it is asked without a way to.
    struct Answering;

    impl Actor for Answering {
        type Context = Context<Self>;
    }

    impl Handler<Envelope<Question>> for Answering {
        type Result = ();

        fn handle(&mut self, envelope: Envelope<Question>, _: &mut Self::Context) {
            let (Question(reply), _handling) = envelope.open();
            if let Some(reply) = reply {
                reply.send(7).unwrap();
            }
        }
    }

    #[actix::test]
    async fn a_question_is_answered_or_it_is_known_why_not() {
        let port = |capacity| {
            let address = Answering.start();
            Seat::new(&Metrics::new(), "answering", capacity).port::<Question>(address.recipient())
        };
        assert_eq!(ask(&port(1), |reply| Question(Some(reply))).await, Ok(7));
        assert_eq!(ask(&port(0), |reply| Question(Some(reply))).await, Err(Unanswered::Full));
        assert_eq!(ask_anyway(&port(0), |reply| Question(Some(reply))).await, Ok(7));
        let dropped = |_: oneshot::Sender<u8>| Question(None);
        assert_eq!(ask(&port(1), dropped).await, Err(Unanswered::Gone));
    }

    #[test]
    fn work_without_a_port_is_measured_and_what_an_actor_holds_is_shown() {
        let metrics = Metrics::new();
        let shows = |line: &str| {
            let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
            page.lines().any(|found| found == line)
        };
        let seat = Seat::new(&metrics, "digging", 1);
        let (meter, mut backlog) = (seat.meter("dig"), seat.backlog());
        assert!(shows("chat_actor_messages_total{actor=\"digging\",message=\"dig\"} 0"));
        drop(meter.begin());
        assert!(shows("chat_actor_messages_total{actor=\"digging\",message=\"dig\"} 1"));
        assert!(shows("chat_actor_handle_seconds_count{actor=\"digging\",message=\"dig\"} 1"));
        for waiting in [3, 7, 2] {
            backlog.set(waiting);
            assert!(shows(&format!("chat_actor_mailbox_messages{{actor=\"digging\"}} {waiting}")));
        }
        drop(backlog);
        assert!(shows("chat_actor_mailbox_messages{actor=\"digging\"} 0"));
    }
}
