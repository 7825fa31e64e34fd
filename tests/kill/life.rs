//! Lives of the pipeline: one after another, each but the last ended by `kill -9`.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use postgres::{Client, NoTls};
use serde_json::Value as Json;

use crate::program;

/// Where one run reads and writes. Each has a database, a number in Redis and a topic of its own.
#[derive(Clone, Debug)]
pub struct Place {
    pub program: PathBuf,
    pub folder: PathBuf,
    pub kafka: String,
    /// Up to the name of the database.
    pub postgres: String,
    pub database: String,
    /// With the number.
    pub redis: String,
}

/// Chance, the same for a seed (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound
    }
}

/// When a life ends.
#[derive(Copy, Clone, Debug)]
pub enum When {
    /// When the tables are as of this event time, or later.
    Reached(i64),
    /// So many milliseconds after they moved for the first time in this life: early, while it still catches up.
    Moved(u64),
    /// So many milliseconds after its start, whatever it does then.
    Started(u64),
}

impl Place {
    pub fn url(&self) -> String {
        format!("{}/{}", self.postgres, self.database)
    }

    /// A place in these servers, with a database of that name and a number in Redis of its own.
    pub fn new(
        program: &Path,
        folder: &Path,
        kafka: &str,
        postgres: &str,
        database: &str,
        redis: &str,
        number: u32,
    ) -> Self {
        let place = Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            kafka: kafka.to_owned(),
            postgres: postgres.rsplit_once('/').unwrap().0.to_owned(),
            database: database.to_owned(),
            redis: format!("{redis}{number}"),
        };
        place.prepare();
        place
    }

    /// Makes the database.
    fn prepare(&self) {
        let mut client = Client::connect(&format!("{}/telemetra", self.postgres), NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {}", self.database)).unwrap();
    }

    /// The program, on its way to the end of the log in steps that are small, so that there are many instants to be killed at.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(&[&["--until-end"][..], arguments].concat())
    }

    /// The same, but it goes on at the end of the log.
    pub fn command_on(&self, arguments: &[&str]) -> Command {
        let rest = self.postgres.rsplit_once('@').map_or("", |(_, rest)| rest);
        let (host, port) = rest.split_once(':').unwrap();
        let letters = format!("letters.{}", self.database);
        let fixed = [
            "--json",
            "--checkpoint-every",
            "20",
            "--checkpoint-pause",
            "0",
            "--lead",
            "20",
            "--dead-letter-topic",
            &letters,
        ];
        let mut command = program::command(&self.program, &self.folder, &[&fixed[..], arguments].concat());
        command.env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka).env("REDIS_URL", &self.redis);
        command.env("POSTGRES_HOST", host).env("POSTGRES_PORT", port).env("POSTGRES_DB", &self.database);
        command
    }

    /// A life to the end of the log; what it told.
    pub fn live(&self, arguments: &[&str]) -> Json {
        program::last_line(&self.command(arguments).output().unwrap(), 0)
    }

    /// A life that is killed. `victim` chooses among the processes, the first one and those that it started. Says up to which
    /// event time the tables are, in milliseconds, if any.
    pub fn die(&self, arguments: &[&str], when: When, victim: u64) -> Option<i64> {
        let before = self.progress();
        let mut child = self.command(arguments).spawn().unwrap();
        let wait = |millis: u64| std::thread::sleep(Duration::from_millis(millis));
        match when {
            When::Started(millis) => wait(millis),
            When::Moved(millis) => {
                self.until(&mut child, || self.progress() > before);
                wait(millis);
            }
            When::Reached(time) => self.until(&mut child, || self.progress() >= Some(time)),
        }
        let others = children(child.id());
        let all: Vec<u32> = std::iter::once(child.id()).chain(others).collect();
        let place = victim as usize % all.len();
        let killed = all[place];
        kill(killed);
        println!("killed process {place} of {}", all.len());
        // What of it lives must end by itself.
        let status = child.wait().unwrap();
        if killed == child.id() {
            assert_eq!(status.signal(), Some(9), "the kill at {when:?} did not hit a running process");
        } else {
            assert_eq!(status.code(), Some(1), "the first process of a cluster that lost one");
        }
        for process in all.into_iter().skip(1) {
            while is_alive(process) {
                wait(5);
            }
        }
        self.progress()
    }

    /// Waits until something has happened; the process must not end meanwhile.
    fn until(&self, child: &mut Child, happened: impl Fn() -> bool) {
        while !happened() {
            if let Some(status) = child.try_wait().unwrap() {
                let mut told = String::new();
                if let Some(mut stderr) = child.stderr.take() {
                    stderr.read_to_string(&mut told).unwrap();
                }
                panic!("it ended before it was to be killed: {status}\n{told}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Up to which event time all shards are, in milliseconds.
    pub fn progress(&self) -> Option<i64> {
        let mut client = Client::connect(&self.url(), NoTls).ok()?;
        let least =
            "SELECT CASE WHEN count(*) = count(time) THEN (extract(epoch FROM min(time)) * 1000)::bigint END
                     FROM telemetra_progress";
        client.query_one(least, &[]).ok()?.get(0)
    }
}

/// Whether a process does anything; one that has ended may be kept until somebody asks for it.
fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn children(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    // Each thread has the children that it started.
    for task in std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found
}

fn kill(process: u32) {
    let killed = Command::new("sh").args(["-c", &format!("kill -KILL {process}")]).status().unwrap();
    assert!(killed.success(), "there was no process {process} to kill");
}
