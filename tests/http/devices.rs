//! A service of devices: its events, its rows, its pipeline, and the router beside a route of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use telemetra::core::aggregate::Mean;
use telemetra::http::{self, Settings};
use telemetra::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::client::{Answer, request};

pub(crate) const START: EventTime = EventTime(1_767_225_600_000);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) device: String,
    pub(crate) time: EventTime,
    pub(crate) celsius: f64,
}

impl Event for Reading {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.device
    }
}

/// A row type of its own, with columns of most kinds: a reading that is too hot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Alarm {
    device: String,
    raised_at: EventTime,
    micros: i64,
}

impl Row for Alarm {
    fn table() -> Table {
        Table::new("alarms")
            .key(Column::new("device", ColumnKind::Text))
            .key(Column::new("raised_at", ColumnKind::Time))
            .column(Column::new("celsius", ColumnKind::Decimal))
            .column(Column::new("severe", ColumnKind::Bool))
            .column(Column::nullable("note", ColumnKind::Text))
            .column(Column::new("raw", ColumnKind::Bytes))
            .column(Column::new("parts", ColumnKind::Integers))
            .column(Column::new("labels", ColumnKind::Texts))
            .column(Column::new("detail", ColumnKind::Json))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.device));
        put(Value::Time(self.raised_at));
        put(Value::Decimal(telemetra::core::Decimal(self.micros.into())));
        put(Value::Bool(self.micros > 90_000_000));
        put(Value::or_null((self.micros < 0).then_some(Value::Text("cold"))));
        put(Value::Bytes(&self.micros.to_be_bytes()));
        put(Value::Integers(&[self.micros]));
        put(Value::Texts(&["hot \"and\" bright"]));
        put(Value::Json(&r#"{"of": [1, 2]}"#));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.raised_at)
    }
}

impl Alarm {
    fn of(reading: &Reading) -> Option<Self> {
        let micros = (reading.celsius * 1e6).round() as i64;
        let alarm = || Self { device: reading.device.clone(), raised_at: reading.time, micros };
        (reading.celsius > 60.0).then(alarm)
    }
}

/// What the metrics hook was told.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

pub(crate) struct Devices {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    handle: ChannelHandle,
    running: Arc<Mutex<Option<Running>>>,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    serving: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

impl Devices {
    pub(crate) fn start() -> Self {
        Self::with(Settings::new(), 3600)
    }

    /// With answers of so many seconds in memory.
    pub(crate) fn with(settings: Settings, horizon: u64) -> Self {
        let (handle, source) = Channel::bounded("readings", 100_000).unwrap();
        let view = LiveView::<(u64, Mean)>::new(Duration::from_secs(horizon)).timed_rows();
        let reader = view.reader();
        let running = Pipeline::<Reading>::new()
            .time(TimeConfig { idle_after: None, ..TimeConfig::default() })
            .source(source, SerdeJson::new())
            .rows(Alarm::of)
            .group("device_minute", tumbling(minutes(1)), |a| {
                (a.count("readings"), a.mean("celsius", |r| r.celsius))
            })
            .key_columns(["device"])
            .gauge_moments("departure", ZScore::new(3.0).unwrap(), Micro::SCALE, |(_, celsius)| {
                celsius.rounded()
            })
            .sink(view)
            .start()
            .unwrap();
        let running = Arc::new(Mutex::new(Some(running)));
        let (stop, stopping) = watch::channel(false);
        let seen = Seen::default();
        let (told, status) = (Arc::clone(&seen), Arc::clone(&running));
        let limits = settings.get_limits().clone();
        let settings = settings
            .stopping(stopping.clone())
            .observe(move |event| told.lock().unwrap().push(format!("{event:?}")));
        let devices = http::router(reader)
            .settings(settings)
            .pipeline(move || status.lock().unwrap().as_ref().map(Running::status))
            .metrics(|| "readings 7\n".to_owned())
            .build();
        let router = Router::new().route("/own", get(async || "own")).nest("/devices", devices);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Some(runtime.spawn(http::serve(listener, router, limits, stopping)));
        Self { address, seen, handle, running, stop, runtime, serving }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[])
    }

    pub(crate) fn json(&self, path: &str) -> Json {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Pushes this many readings of a minute, evenly spread.
    pub(crate) fn read(&self, device: &str, minute: u64, count: u64, celsius: f64) {
        for n in 0..count {
            let time = START.plus(minute * 60_000 + n * 60_000 / count);
            self.push(&Reading { device: device.to_owned(), time, celsius: celsius + (n % 3) as f64 / 10.0 });
        }
    }

    fn push(&self, reading: &Reading) {
        self.handle.push(serde_json::to_vec(reading).unwrap()).unwrap();
    }

    /// Lets event time pass up to the end of a minute, and waits until that is durable.
    pub(crate) fn until(&self, minute: u64) {
        let time = START.plus(minute * 60_000);
        // Watermarks are ten seconds behind; so is this event, of a device of its own.
        self.push(&Reading { device: "clock".to_owned(), time: time.plus(10_000), celsius: 0.0 });
        wait(|| self.running.lock().unwrap().as_ref().unwrap().status().durable >= time);
    }

    /// Some devices by the minute, of which one is hot once.
    pub(crate) fn busy() -> Self {
        let devices = Self::start();
        for minute in 0..14 {
            for device in ["d1", "d/2"] {
                let hot = device == "d1" && minute == 12;
                devices.read(device, minute, 3, if hot { 80.0 } else { 20.0 + (minute % 3) as f64 / 10.0 });
            }
            devices.until(minute + 1);
        }
        devices
    }

    /// Ends the pipeline.
    pub(crate) fn end(&self) {
        self.running.lock().unwrap().take().unwrap().stop().unwrap();
    }

    pub(crate) fn stop(&mut self) {
        self.stop.send_replace(true);
        self.runtime.block_on(self.serving.take().unwrap()).unwrap().unwrap();
    }
}

/// Waits until something is so. What never comes ends the test.
pub(crate) fn wait(is_so: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come to that");
}
