//! The messages that the pipeline publishes in Redis, as a feed.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use redis::{Client, Connection};
use serde::Deserialize;
use telemetra::core::EventTime;
use telemetra::http::{Feed, FeedItem, Pending, Position, new_run_id};
use telemetra::sinks::RedisKeys;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::server::model::{Message, Metrics, MomentInfo, MomentKind, WindowKind};
use crate::server::store::Update;

/// The time limit for a connection and for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// After how long without a message it is asked whether the server is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// The number of updates that may wait.
const WAITING: usize = 1 << 14;

/// The server and the names of its channels.
#[derive(Clone)]
pub(crate) struct Channel {
    client: Client,
    pattern: Arc<str>,
    /// Of the positions: what is published is not kept, so each service has a run of its own.
    pub(super) run: Arc<str>,
}

impl Channel {
    /// The channels below `prefix` of the server at `url`.
    ///
    /// # Errors
    ///
    /// If the URL cannot be read. It is not quoted, as it may hold a password.
    pub(crate) fn new(url: &str, prefix: &str) -> Result<Self> {
        let client = Client::open(url).map_err(|_| anyhow::anyhow!("the URL of redis cannot be read"))?;
        Ok(Self { client, pattern: RedisKeys::new(prefix).live_pattern().into(), run: new_run_id() })
    }

    fn connect(&self) -> Result<Connection> {
        let connection = self.client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    fn ping(&self) -> Result<()> {
        redis::cmd("PING").query::<String>(&mut self.connect()?)?;
        Ok(())
    }

    /// Whether the server answers.
    pub(crate) async fn check(&self) -> Result<()> {
        let this = self.clone();
        let asked = tokio::task::spawn_blocking(move || this.ping()).await;
        asked.context("the task that asks redis failed")?.context("could not ask redis")
    }

    /// The changes that are published from now on. After a connection was lost there is a gap.
    pub(crate) fn feed(&self) -> Box<dyn Feed> {
        let (sender, updates) = mpsc::channel(WAITING);
        let this = self.clone();
        // It ends when nobody listens any more.
        let listener = thread::Builder::new().name("redis feed".to_owned()).spawn(move || {
            let mut failing = false;
            while !sender.is_closed() {
                match this.listen(&sender, failing) {
                    Ok(()) => return,
                    Err(error) if !failing => {
                        tracing::warn!("lost the messages of redis, trying again: {error:#}")
                    }
                    Err(_) => {}
                }
                failing = true;
                thread::sleep(Duration::from_millis(500));
            }
        });
        if let Err(error) = listener {
            tracing::error!("could not start the thread that listens to redis: {error}");
        }
        Box::new(Updates(updates))
    }

    /// Passes messages on for as long as somebody listens.
    fn listen(&self, sender: &Sender<FeedItem>, is_again: bool) -> Result<()> {
        let mut connection = self.connect()?;
        let mut messages = connection.as_pubsub();
        messages.psubscribe(&*self.pattern)?;
        messages.set_read_timeout(Some(Duration::from_secs(1)))?;
        if is_again {
            tracing::info!("redis sends messages again");
            if sender.blocking_send(FeedItem::Gap).is_err() {
                return Ok(());
            }
        }
        let mut heard = Instant::now();
        while !sender.is_closed() {
            match messages.get_message() {
                Ok(message) => {
                    heard = Instant::now();
                    match parse(&self.run, message.get_payload_bytes()) {
                        Ok(update) => {
                            if sender.blocking_send(FeedItem::Changes(update.into_changes())).is_err() {
                                return Ok(());
                            }
                        }
                        Err(error) => tracing::warn!("a message of redis cannot be read: {error:#}"),
                    }
                }
                Err(error) if error.is_timeout() => {
                    if heard.elapsed() > SILENCE {
                        self.ping()?;
                        heard = Instant::now();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

struct Updates(Receiver<FeedItem>);

impl Feed for Updates {
    fn next(&mut self) -> Pending<'_, Option<FeedItem>> {
        Box::pin(self.0.recv())
    }
}

/// A message as the pipeline publishes it.
#[derive(Deserialize)]
struct Published {
    stream_id: String,
    time: u64,
    revision: u32,
    #[serde(flatten)]
    change: Change,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Change {
    Metrics { kind: WindowKind, row: Metrics },
    Moment { kind: MomentKind, row: MomentInfo },
}

fn parse(run: &Arc<str>, payload: &[u8]) -> Result<Update> {
    let Published { stream_id, time, revision, change } = serde_json::from_slice(payload)?;
    let time = EventTime(time);
    let (id, at) = (stream_id.clone(), time.into());
    let message = match change {
        Change::Metrics { kind, row } => {
            let metrics = Metrics { updated_at: at, ..row };
            Message::Metrics { stream_id: id, time: at, revision, kind, metrics, cursor: None }
        }
        Change::Moment { kind, row } => {
            let moment = MomentInfo { updated_at: at, ..row };
            Message::Moment { stream_id: id, time: at, revision, kind, moment, cursor: None }
        }
    };
    let at = Position::new(Arc::clone(run), time).after(stream_id.as_str(), time);
    Ok(Update { stream_id, time, messages: vec![message], at })
}
