//! A pipeline that a test feeds, and the API over it.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use telemetra::core::source::{Channel, ChannelHandle};
use telemetra::core::{EventTime, TimeConfig};
use telemetra::livestream::{
    self, ChatMessage, Currency, Event, Header, JsonDecoder, Lexicon, MetaType, StreamId, StreamMeta,
    StreamSummary, Transaction, TransactionType, ViewerCount, WithSentiment, default_rules, encode_json,
};
use telemetra::sinks::{LiveReader, LiveView, Sqlite};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::{Answer, Socket, request};
use crate::server::app::{App, Options, app};
use crate::server::store::Store;
use crate::server::store::archive::Archive;
use crate::server::store::embedded::Embedded;
use telemetra::http::serve;

pub(crate) const START: EventTime = EventTime(1_767_225_600_000);

/// The API over some store.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
    runtime: Runtime,
}

impl Serving {
    pub(crate) fn start(store: Arc<dyn Store>, options: Options) -> Self {
        // Seen where a test fails.
        let _ = tracing_subscriber::fmt().with_env_filter("warn").with_test_writer().try_init();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopping) = watch::channel(false);
        let limits = options.limits.clone();
        let (listener, router) = {
            let _entered = runtime.enter();
            let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
            (listener, app(App::new(store, options, stopping.clone())))
        };
        let address = listener.local_addr().unwrap();
        let serving = Some(runtime.spawn(serve(listener, router, limits, stopping)));
        Self { address, stop, serving, runtime }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[])
    }

    pub(crate) fn socket(&self, path: &str) -> Socket {
        Socket::open(self.address, path)
    }

    pub(crate) fn stop(&mut self) {
        self.stop.send_replace(true);
        self.runtime.block_on(self.serving.take().unwrap()).unwrap().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// The API over a pipeline in the same process, and what that is fed.
pub(crate) struct Service {
    pub(crate) feeder: Feeder,
    serving: Serving,
    pub(crate) address: SocketAddr,
    pub(crate) reader: LiveReader<StreamSummary, StreamId>,
    pub(crate) store: Arc<Embedded>,
    folder: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::with(Options { title: "Test".to_owned(), ..Options::default() }, Duration::from_secs(2 * 3600))
    }

    /// With answers of the last `horizon` in memory.
    pub(crate) fn with(options: Options, horizon: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("telemetra.db");
        let (handle, source) = Channel::bounded("test", 100_000).unwrap();
        let view = LiveView::new(horizon).only(["streams", "chat_summary_minute", "moments"]);
        let reader = view.reader();
        let running = livestream::pipeline()
            .time(TimeConfig { idle_after: None, ..TimeConfig::default() })
            .source(source, JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english())))
            .rules(default_rules(3.0).unwrap())
            .operator_times(true)
            .sink(view)
            .sink(Sqlite::new(&database))
            .start()
            .unwrap();
        let store = Arc::new(Embedded::new(reader.clone(), Archive::new(&database), running));
        let serving = Serving::start(Arc::clone(&store) as _, options);
        Self { feeder: Feeder::new(handle), address: serving.address, serving, reader, store, folder }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.serving.get(path)
    }

    pub(crate) fn socket(&self, path: &str) -> Socket {
        self.serving.socket(path)
    }

    pub(crate) fn stop(&mut self) {
        self.serving.stop();
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Lets event time pass up to the end of a minute, and waits until that is answered, also by the tables.
    pub(crate) fn until(&mut self, minute: u64) {
        let store = Arc::clone(&self.store);
        self.feeder.until(minute, || store.status().map_or(EventTime::MIN, |status| status.durable));
    }

    /// [`Feeder::spike`], found.
    pub(crate) fn spike(&mut self, stream: &str) {
        self.feeder.spike(stream);
        self.until(14);
    }
}

impl Deref for Service {
    type Target = Feeder;
    fn deref(&self) -> &Feeder {
        &self.feeder
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Feeder {
        &mut self.feeder
    }
}

/// Pushes events into a pipeline.
pub(crate) struct Feeder {
    handle: ChannelHandle,
    events: u64,
}

impl Feeder {
    pub(crate) fn new(handle: ChannelHandle) -> Self {
        Self { handle, events: 0 }
    }

    fn push(&mut self, stream: &str, millis: u64, make: impl FnOnce(Header<'_>) -> Vec<u8>) {
        self.events += 1;
        let event_id = format!("e{}", self.events);
        self.handle
            .push(make(Header { event_id: &event_id, time: START.plus(millis), stream_id: stream }))
            .unwrap();
    }

    /// Pushes a record as it is.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.handle.push(bytes.to_vec()).unwrap();
    }

    /// Pushes this many chat messages of a minute, evenly spread.
    pub(crate) fn chat(&mut self, stream: &str, minute: u64, count: u64) {
        self.chats(&[stream], minute, count);
    }

    /// The same in several streams, in the order of time: of one after the other, the second would be late.
    pub(crate) fn chats(&mut self, streams: &[&str], minute: u64, count: u64) {
        self.chats_within(streams, minute * 60_000, 60_000, count);
    }

    /// The same within `length` milliseconds from `start` on.
    pub(crate) fn chats_within(&mut self, streams: &[&str], start: u64, length: u64, count: u64) {
        for (n, stream) in (0..count).flat_map(|n| streams.iter().map(move |stream| (n, stream))) {
            let user = format!("user{}", n % 7);
            self.push(stream, start + n * length / count, |header| {
                encode(&Event::Chat(ChatMessage {
                    header,
                    user_id: &user,
                    username: &user,
                    message: if n % 3 == 0 { "what a great game" } else { "the next table" },
                    emotes: if n % 2 == 0 { &["Kappa"] } else { &["Rocket", "Kappa"] },
                    badges: &[],
                    is_subscriber: false,
                    is_moderator: false,
                    sentiment: 0,
                }))
            });
        }
    }

    pub(crate) fn viewers(&mut self, stream: &str, minute: u64, count: u64) {
        self.viewers_at(stream, minute * 60_000, count);
    }

    /// Lets event time pass up to so many milliseconds.
    pub(crate) fn pass(&mut self, millis: u64) {
        // Watermarks are ten seconds behind; so is this event, in a stream of its own.
        self.viewers_at("clock", millis + 10_000, 1);
    }

    fn viewers_at(&mut self, stream: &str, millis: u64, count: u64) {
        self.push(stream, millis, |header| {
            encode(&Event::Viewer(ViewerCount {
                header,
                viewer_count: count,
                unique_viewers: None,
                peak_viewers: None,
            }))
        });
    }

    pub(crate) fn gift(&mut self, stream: &str, minute: u64, micros: i64) {
        self.push(stream, minute * 60_000, |header| {
            encode(&Event::Transaction(Transaction {
                header,
                user_id: "ada",
                username: "Ada",
                transaction_type: TransactionType::Donation,
                amount: micros,
                currency: Currency::Eur,
                message: None,
            }))
        });
    }

    pub(crate) fn title(&mut self, stream: &str, minute: u64, is_start: bool, title: &str) {
        let event_type = if is_start { MetaType::StreamStart } else { MetaType::StreamEnd };
        self.push(stream, minute * 60_000, |header| {
            encode(&Event::Meta(StreamMeta {
                header,
                event_type,
                new_title: Some(title),
                new_category: Some("Music"),
                started_at: None,
                ended_at: None,
                duration_minutes: None,
            }))
        });
    }

    /// Lets event time pass up to the end of a minute, and waits until that is durable.
    pub(crate) fn until(&mut self, minute: u64, durable: impl Fn() -> EventTime) {
        self.pass(minute * 60_000);
        let time = START.plus(minute * 60_000);
        assert!(comes(|| durable() >= time), "{time} never came: it is {}", durable());
    }

    /// Twelve quiet minutes, one with many messages, and one quiet again: there is a spike once minute 14 begins.
    pub(crate) fn spike(&mut self, stream: &str) {
        for minute in 0..12 {
            self.chat(stream, minute, 20);
        }
        self.chat(stream, 12, 150);
        self.chat(stream, 13, 20);
    }
}

fn encode(event: &Event<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_json(event, &mut bytes);
    bytes
}

/// Waits until something is so; `false` if that never comes, however slow the machine is.
fn comes(is_so: impl Fn() -> bool) -> bool {
    (0..12_000).any(|_| {
        let so = is_so();
        if !so {
            thread::sleep(Duration::from_millis(5));
        }
        so
    })
}

/// Waits until something is so. What never comes ends the test.
pub(crate) fn wait(is_so: impl Fn() -> bool) {
    assert!(comes(is_so), "it did not come to that");
}
