//! Followers over a pipeline elsewhere that keeps a log of changes: they go on at any service over its tables.

mod client;
mod rows;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use telemetra::core::{Batch, Change, EventTime, Layout, Shard, Sink, Table};
use telemetra::livestream::{StreamRow, ViewerRow, moment_layout, summary_layout};
use telemetra::sinks::{ChangeLog, Postgres, PostgresConfig};

use crate::server::app::Options;
use crate::server::store::servers::{Servers, Tables};
use crate::service::Serving;
use crate::services::{Kind, Place, shared};
use client::Client;
use rows::{Raw, batches, changes};

const STREAMS: [&str; 4] = ["ada", "bob", "cyd", "it's ü"];

/// A database of a test's own.
struct Database {
    url: String,
    config: PostgresConfig,
}

impl Database {
    fn new() -> Self {
        let Place { url, name } = shared(Kind::Postgres);
        let server: postgres::Config = url.parse().unwrap();
        server.connect(postgres::NoTls).unwrap().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let (base, _) = url.rsplit_once('/').unwrap();
        let url = format!("{base}/{name}");
        Self { config: PostgresConfig::from_url(&url).unwrap(), url }
    }

    fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url, postgres::NoTls).unwrap()
    }

    /// How often each row was published before, by its key; of a stream its title.
    fn rows(&self, stream: Option<&str>) -> BTreeMap<String, String> {
        let rows = "
            SELECT 'w ' || stream_id || ' ' ||
                to_char(window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), revision::text
            FROM chat_summary_minute WHERE stream_id = coalesce($1, stream_id)
            UNION ALL SELECT 'm ' || moment_id, revision::text FROM moments WHERE stream_id = coalesce($1, stream_id)
            UNION ALL SELECT 's ' || stream_id, title FROM streams WHERE stream_id = coalesce($1, stream_id)";
        let rows = self.client().query(rows, &[&stream]).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    fn sinks(&self, of: usize, start_over: bool, resume: Option<EventTime>) -> Vec<Postgres> {
        let open = |index| {
            let bounds = ChangeLog { keep: Duration::from_secs(120), records: 60 };
            let sink = Postgres::new(self.config.clone()).shard(Shard { index, of }).change_log(bounds);
            let mut sink = if start_over { sink.start_over() } else { sink };
            sink.open(&tables(), resume).unwrap();
            sink
        };
        (0..of).map(open).collect()
    }

    fn api(&self) -> Serving {
        let tables = Arc::new(Tables::new(self.config.clone(), "telemetra"));
        Serving::start(Arc::new(Servers { tables, channel: None }), Options::default())
    }
}

fn tables() -> Vec<Arc<Table>> {
    let (windows, moments) = (summary_layout(), moment_layout());
    let (streams, viewers) = (Layout::<StreamRow>::of_row(), Layout::<ViewerRow>::of_row());
    [streams.table(), windows.table(), moments.table(), viewers.table()].map(Arc::clone).to_vec()
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// So many batches are committed, in one transaction or in one each.
    Commit(usize, bool),
    /// The pipeline is killed, and another goes on from the batch of so many before.
    Restart(usize),
    /// Everything is deleted and begins again.
    StartOver,
    /// This client connects to this service anew, where it was, and reads so many messages.
    Read(usize, usize, usize),
    /// This service ends, and another takes its place.
    Replace(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..4, any::<bool>()).prop_map(|(count, together)| Step::Commit(count, together)),
        2 => (0usize..3).prop_map(Step::Restart),
        1 => Just(Step::StartOver),
        10 => (0usize..4, 0usize..2, prop_oneof![1usize..12, Just(usize::MAX)])
            .prop_map(|(client, service, most)| Step::Read(client, service, most)),
        1 => (0usize..2).prop_map(Step::Replace),
    ]
}

fn apply(sinks: &mut [Postgres], batches: &[Batch], together: bool) {
    let of = sinks.len();
    for (index, sink) in sinks.iter_mut().enumerate() {
        let ours = |change: &&Change| Shard::index_of(&change.row.subject(), of) == index;
        let part = |batch: &Batch| Batch {
            time: batch.time,
            changes: batch.changes.iter().filter(ours).cloned().collect(),
        };
        let batches: Vec<_> = batches.iter().map(part).collect();
        batches.chunks(if together { 8 } else { 1 }).for_each(|some| sink.apply(some).unwrap());
    }
}

fn run(of: usize, all: &[Batch], steps: &[Step]) -> Vec<Client> {
    let database = Database::new();
    let mut sinks = database.sinks(of, false, None);
    let mut services = [database.api(), database.api()];
    let mut clients = vec![
        Client::new(None, false),
        Client::new(None, true),
        Client::new(Some("ada"), false),
        Client::new(Some("bob"), true),
    ];
    let mut next = 0;
    for step in steps {
        match step {
            Step::Commit(count, together) => {
                let end = (next + count).min(all.len());
                apply(&mut sinks, &all[next..end], *together);
                next = end;
            }
            Step::Restart(back) => {
                let from = next.saturating_sub(*back);
                if let Some(last) = from.checked_sub(1) {
                    sinks = database.sinks(of, false, Some(all[last].time));
                    next = from;
                }
            }
            Step::StartOver => {
                sinks = database.sinks(of, true, None);
                // Rows of the run before stay until each shard has a change.
                let raw: Vec<Raw> = (0..STREAMS.len()).map(|stream| (stream, 0, false)).collect();
                apply(&mut sinks, &[Batch { time: all[0].time, ..batches(&[raw]).remove(0) }], false);
                sinks = database.sinks(of, true, None);
                next = 0;
            }
            Step::Read(client, service, most) if next > 0 => {
                let client = &mut clients[*client];
                client.leave();
                client.read(&database, services[*service].address, *most);
            }
            Step::Read(..) => {}
            Step::Replace(service) => {
                clients.iter_mut().for_each(Client::leave);
                services[*service] = database.api();
            }
        }
    }
    if next > 0 {
        for (nth, client) in clients.iter_mut().enumerate() {
            client.leave();
            client.read(&database, services[nth % 2].address, usize::MAX);
            assert_eq!(client.rows, database.rows(client.stream));
        }
    }
    clients
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 10, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_goes_on_anywhere_ends_with_the_rows_of_a_snapshot(
        raw in proptest::collection::vec(changes(), 40),
        steps in proptest::collection::vec(step(), 25),
        of in 1usize..4,
    ) {
        run(of, &batches(&raw), &steps);
    }
}

fn busy() -> Vec<Batch> {
    let raw = |nth: usize| {
        let mut raw: Vec<Raw> = (0..STREAMS.len()).map(|stream| (stream, 0, false)).collect();
        raw.extend([(nth % 4, 1, true), (0, 3, false), (1, 3, nth % 2 == 1), (2, 4, false)]);
        raw
    };
    batches(&(0..40).map(raw).collect::<Vec<_>>())
}

/// The property is not held by clients that begin again each time.
#[test]
fn clients_go_on_at_either_service_and_begin_again_where_the_log_does_not_reach() {
    let all = busy();
    let often: Vec<_> = (0..16)
        .flat_map(|nth| {
            let read = |client| Step::Read(client, nth % 2, if nth % 3 == 0 { 5 } else { usize::MAX });
            [Step::Commit(2, nth % 2 == 0), read(0), read(1), read(2), read(3)]
        })
        .collect();
    for client in run(2, &all, &often) {
        assert_eq!(client.snapshots, [""], "{:?}", client.stream);
        assert!(client.resumed > 12, "{}", client.resumed);
        assert!(client.withdrawn > 0 || client.stream == Some("bob"), "{}", client.withdrawn);
    }
    // Sixteen batches are more than the two minutes that are kept.
    let read = |client| Step::Read(client, client % 2, usize::MAX);
    let seldom = |between: Step| {
        [Step::Commit(4, false), read(0), read(1), read(2), read(3), between, Step::Commit(16, false)]
    };
    for client in run(2, &all, &seldom(Step::Replace(0))) {
        assert_eq!(client.snapshots, ["", "too_old"]);
    }
    for client in run(2, &all, &seldom(Step::StartOver)) {
        assert_eq!(client.snapshots, ["", "other_life"]);
    }
}

/// A process of the program, over a database.
struct Process(Child, SocketAddr);

impl Process {
    fn start(database: &Database, folder: &std::path::Path) -> Self {
        let mut command: Command =
            crate::program::command(&crate::program::build("api"), folder, &["--port", "0"]);
        let config: postgres::Config = database.url.parse().unwrap();
        let host = match config.get_hosts() {
            [postgres::config::Host::Tcp(host), ..] => host.clone(),
            other => panic!("{other:?} is no host to test with"),
        };
        let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        command
            .env("POSTGRES_HOST", host)
            .env("POSTGRES_PORT", config.get_ports().first().copied().unwrap_or(5432).to_string())
            .env("POSTGRES_USER", config.get_user().unwrap_or("postgres"))
            .env("POSTGRES_PASSWORD", password.unwrap_or_default())
            .env("POSTGRES_DB", config.get_dbname().unwrap());
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address =
            told.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned()));
        Self(child, address.unwrap().parse().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_client_goes_on_at_another_process() {
    let (database, folder, all) = (Database::new(), tempfile::tempdir().unwrap(), busy());
    let mut sinks = database.sinks(1, false, None);
    let mut first = Process::start(&database, folder.path());
    let second = Process::start(&database, folder.path());
    for (stream, by_socket) in [(None, false), (Some("ada"), true)] {
        let from = if stream.is_none() { 0 } else { 12 };
        apply(&mut sinks, &all[from..from + 4], false);
        let mut client = Client::new(stream, by_socket);
        client.read(&database, first.1, usize::MAX);
        apply(&mut sinks, &all[from + 4..from + 8], false);
        client.read(&database, first.1, 3);
        // It ends, and with it the connection; what comes after is told by the other.
        first = Process::start(&database, folder.path());
        apply(&mut sinks, &all[from + 8..from + 12], false);
        client.leave();
        client.read(&database, second.1, usize::MAX);
        client.leave();
        client.read(&database, first.1, usize::MAX);
        assert_eq!(client.snapshots.len(), 1, "{:?}", client.snapshots);
        // At the last process there may be nothing left to read.
        assert!((1..=2).contains(&client.resumed), "{}", client.resumed);
        assert!(client.withdrawn > 0);
    }
    let health = crate::client::request(second.1, "GET", "/health", &[]).json();
    assert_eq!(health["components"]["change log"]["status"], "ok", "{health}");
}

#[test]
fn without_a_log_the_service_says_so_and_answers_what_it_can() {
    let (database, all) = (Database::new(), busy());
    let mut sink = Postgres::new(database.config.clone());
    sink.open(&tables(), None).unwrap();
    apply(std::slice::from_mut(&mut sink), &all[..3], false);
    let api = database.api();
    let health = api.get("/health");
    let error = health.json()["components"]["change log"]["error"].as_str().unwrap().to_owned();
    assert!(health.status == 503 && error.contains("the pipeline keeps no log of changes"), "{error}");
    assert_eq!(api.get("/streams/ada").status, 200);
    let first = api.socket("/live/ada?after=0123-5").next().unwrap();
    assert_eq!((first["type"].as_str(), first["not_resumed"].as_str()), (Some("snapshot"), Some("not_kept")));
    assert_eq!(first["cursor"], Value::Null);
    assert_eq!(api.get("/live/ada?after=then").status, 400);
}
