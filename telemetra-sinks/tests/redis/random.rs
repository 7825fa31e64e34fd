//! Random events in any order: the keys are those of the model.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use proptest::prelude::*;
use redis::Connection;
use telemetra_core::{Action, Batch, RowKey};

use super::common::{alert, device};
use super::model::{all_names, expected, held, modelled, of_row, open_modelled, whole};
use super::services::Server;
use super::*;

const DEVICES: [&str; 4] = ["d1", "two words", "a}b{c", ""];

/// An event in the life of the processes and the server.
#[derive(Clone, Debug)]
enum Step {
    /// This number of batches comes at once.
    Batches(usize),
    /// The server loses all its memory.
    LoseMemory,
    /// The server loses its scripts.
    LoseScripts,
    /// The process is killed, and another starts from the checkpoint this number of batches before.
    Restart(usize),
    /// The process that was killed last was not dead, and goes on.
    WakeUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..4).prop_map(Step::Batches),
        1 => Just(Step::LoseMemory),
        1 => Just(Step::LoseScripts),
        2 => (0usize..4).prop_map(Step::Restart),
        2 => Just(Step::WakeUp),
    ]
}

/// The kind of the row that changes.
#[derive(Copy, Clone, Debug)]
enum Of {
    Minute,
    Hour,
    /// A moment of this number of windows, open or not.
    Moment(u32, bool),
    Device,
    Alert,
}

/// A change of a batch: device, how many windows back, readings, which row, withdrawal.
type Raw = (usize, u64, u64, Of, bool);

fn history() -> impl Strategy<Value = Vec<Batch>> {
    let of = prop_oneof![
        3 => Just(Of::Minute),
        1 => Just(Of::Hour),
        2 => (1u32..4, any::<bool>()).prop_map(|(windows, open)| Of::Moment(windows, open)),
        1 => Just(Of::Device),
        1 => Just(Of::Alert),
    ];
    let raw = (0..DEVICES.len(), 0u64..9, 0u64..50, of, prop::bool::weighted(0.25));
    prop::collection::vec(prop::collection::vec(raw, 0..6), 1..30).prop_map(|batches| build(&batches))
}

/// Revisions as a pipeline counts them, no withdrawal of what is not there, one change a row.
fn build(raw: &[Vec<Raw>]) -> Vec<Batch> {
    let mut published = std::collections::BTreeMap::new();
    let mut batches = Vec::new();
    for (n, raw) in raw.iter().enumerate() {
        let (n, mut changes) = (n as u64 + 10, Vec::<Change>::new());
        for &(id, back, count, of, withdraw) in raw {
            let id = DEVICES[id];
            let make = |revision, action| match of {
                Of::Minute => readings(id, n - back, count, revision, action),
                Of::Hour => readings_of("device_hour", id, n - back, count, revision, action),
                Of::Moment(windows, open) => moment(id, n - back, windows, open, revision, action),
                Of::Device => of_row(device(id, Some("label"), count as i64), revision, action),
                Of::Alert => of_row(alert(id, n - back, -(count as i64)), revision, action),
            };
            let key = RowKey::of(&*make(0, Action::Upsert).row);
            let (count, there) = published.get(&key).copied().unwrap_or((0, false));
            let action = if withdraw { Action::Withdraw } else { Action::Upsert };
            let twice = changes.iter().any(|change| RowKey::of(&*change.row) == key);
            if twice || (withdraw && !there) {
                continue;
            }
            changes.push(make(count, action));
            published.insert(key, (count + 1, !withdraw));
        }
        common::sort(&mut changes);
        batches.push(common::batch(n, changes));
    }
    batches
}

struct World<'a> {
    url: &'a str,
    prefix: &'a str,
    history: &'a [Batch],
    connection: &'a mut Connection,
    live: RedisSink,
    old: Option<(RedisSink, usize)>,
    /// The number of batches that the live process has applied, and the number that the keys are as of.
    at: usize,
    keys_at: usize,
}

impl World<'_> {
    fn make(url: &str, prefix: &str) -> RedisSink {
        modelled(RedisServer::url(url), prefix)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Batches(many) => {
                let until = (self.at + many).min(self.history.len());
                try_apply(&mut self.live, &self.history[self.at..until]);
                if until > self.at {
                    self.at = until;
                    self.keys_at = self.keys_at.max(until);
                }
            }
            Step::LoseMemory => {
                let names: Vec<String> = held_names(self.connection, self.prefix);
                for name in names {
                    let _: () = redis::cmd("DEL").arg(name).query(self.connection).unwrap();
                }
                self.keys_at = 0;
            }
            Step::LoseScripts => redis::cmd("SCRIPT").arg("FLUSH").exec(self.connection).unwrap(),
            Step::Restart(back) => {
                let checkpoint = self.at.saturating_sub(back);
                let state = whole(&self.history[..checkpoint]);
                let mut next = Self::make(self.url, self.prefix);
                open_modelled(&mut next, state.as_ref().map(|batch| batch.time));
                let before = std::mem::replace(&mut self.live, next);
                self.old = Some((before, self.at));
                if let Some(state) = state {
                    try_apply(&mut self.live, &[state]);
                    self.keys_at = self.keys_at.max(checkpoint);
                }
                self.at = checkpoint;
            }
            Step::WakeUp => {
                // If it finds an empty server first, keys of devices that are no more stay until they expire.
                let Some((old, at)) = &mut self.old else { return };
                if let Some(batch) = self.history.get(*at).filter(|_| *at < self.keys_at) {
                    try_apply(old, std::slice::from_ref(batch));
                    *at += 1;
                }
            }
        }
    }
}

/// Applies batches as a pipeline does: after a transient error again.
fn try_apply(sink: &mut RedisSink, batches: &[Batch]) {
    for _ in 0..3 {
        match sink.apply(batches) {
            Ok(()) => return,
            Err(error) => assert_eq!(error.retry(), telemetra_core::Retry::Transient, "{error:?}"),
        }
    }
    sink.apply(batches).unwrap();
}

fn held_names(connection: &mut Connection, prefix: &str) -> Vec<String> {
    use redis::Commands;
    connection.scan_match(format!("{prefix}:*")).unwrap().map(Result::unwrap).collect()
}

fn check(history: &[Batch], steps: &[Step], url: &str, prefix: &str) {
    let mut connection = connect(url);
    let mut live = World::make(url, prefix);
    open_modelled(&mut live, None);
    let mut world =
        World { url, prefix, history, connection: &mut connection, live, old: None, at: 0, keys_at: 0 };
    let keys = all_names(prefix);
    let last = [Step::Batches(history.len())];
    for (n, step) in steps.iter().chain(&last).enumerate() {
        world.step(step);
        let expected = expected(&keys, &history[..world.keys_at]);
        assert_eq!(held(world.connection, prefix), expected, "after step {n}, {step:?}");
    }
    for name in held_names(&mut connection, prefix) {
        let _: () = redis::cmd("DEL").arg(name).query(&mut connection).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn the_keys_are_those_of_the_model(
        history in history(),
        steps in prop::collection::vec(step(), 0..14),
    ) {
        // Of its own: a server that loses its scripts is no place for other tests.
        static SERVER: OnceLock<Server> = OnceLock::new();
        check(&history, &steps, &SERVER.get_or_init(Server::redis).url(), "random");
    }
}

/// The hashes under a prefix, with their times.
fn hashes(url: &str, prefix: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    use redis::Commands;
    let mut connection = connect(url);
    let names = held_names(&mut connection, prefix).into_iter();
    let hashes = names.filter_map(|name| {
        let kind: String = redis::cmd("TYPE").arg(&name).query(&mut connection).unwrap();
        (kind == "hash").then(|| (name[prefix.len()..].to_owned(), connection.hgetall(&name).unwrap()))
    });
    hashes.collect()
}

/// Applies batches to a sink of its own, as many at once as `sizes` say, and returns the hashes.
fn hashes_by(
    url: &str,
    prefix: &str,
    batches: &[Batch],
    sizes: &[usize],
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sink = World::make(url, prefix);
    open_modelled(&mut sink, None);
    let (mut left, mut sizes) = (batches, sizes.iter().cycle());
    while !left.is_empty() {
        let (now, later) = left.split_at(left.len().min(*sizes.next().unwrap()));
        try_apply(&mut sink, now);
        left = later;
    }
    let hashes = hashes(url, prefix);
    let mut connection = connect(url);
    for name in held_names(&mut connection, prefix) {
        let _: () = redis::cmd("DEL").arg(name).query(&mut connection).unwrap();
    }
    hashes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn the_grouping_of_batches_shows_in_no_key_nor_time(
        history in history(),
        sizes in prop::collection::vec(1_usize..9, 1..4),
        pauses in prop::collection::vec(0_u64..400_000, 30),
    ) {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let url = SERVER.get_or_init(Server::redis).url();
        let last = history.last().unwrap().time;
        let mut with_empty = Vec::new();
        let ends = history.iter().skip(1).map(|batch| batch.time).chain([last.plus(5_000_000)]);
        for ((batch, next), pause) in history.iter().zip(ends).zip(&pauses) {
            let between = batch.time.plus(pause % (next - batch.time).max(1));
            with_empty.push(batch.clone());
            with_empty.extend((between > batch.time).then(|| Batch { time: between, changes: Vec::new() }));
        }
        let end = Batch { time: last.plus(pauses[0]), changes: Vec::new() };
        with_empty.retain(|batch| batch.time < end.time || !batch.changes.is_empty());
        let without: Vec<Batch> = history.iter().chain(std::iter::once(&end).filter(|end| end.time > last)).cloned().collect();
        with_empty.extend((end.time > last).then_some(end));
        let expected = hashes_by(&url, "each", &with_empty, &[1]);
        prop_assert_eq!(hashes_by(&url, "grouped", &without, &sizes), expected);
    }
}

fn cases() -> u32 {
    std::env::var("TELEMETRA_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

/// The same with a server that restarts empty, is killed and comes back.
#[test]
fn a_server_that_restarts_has_the_same_keys() {
    let mut server = Server::redis();
    let (url, keys) = (server.url(), all_names("p"));
    let raw: Vec<Vec<Raw>> = (0..20)
        .map(|n| {
            vec![
                (0, 0, n, Of::Minute, false),
                (1, n % 3, n + 2, Of::Minute, false),
                (0, 0, 0, Of::Moment(1, n % 2 == 0), false),
                (2, 0, n, Of::Device, n % 5 == 4),
                (1, 0, n, Of::Alert, false),
            ]
        })
        .collect();
    let history = build(&raw);
    let mut sink = World::make(&url, "p");
    open_modelled(&mut sink, None);
    for (n, batch) in history.iter().enumerate() {
        if n % 7 == 3 {
            server.kill();
            let error = sink.apply(std::slice::from_ref(batch)).unwrap_err();
            assert_eq!(error.retry(), telemetra_core::Retry::Transient);
            server.start_again();
        }
        try_apply(&mut sink, std::slice::from_ref(batch));
        assert_eq!(held(&mut connect(&url), "p"), expected(&keys, &history[..=n]), "after batch {n}");
    }
}
