//! Real servers for tests: each test starts its own, may break it, and leaves nothing behind, however it ends.
//!
//! The idea: `scripts/services run` holds the server and stops it when its standard input ends, which is ours to hold.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::panic, reason = "a test without its server fails, and says why")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which server.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Redis,
    Kafka,
    ClickHouse,
    /// A schema registry: Apicurio.
    Registry,
    /// An OpenTelemetry Collector, which takes OTLP by HTTP and says in its log what it got.
    Collector,
    /// An object store with the API of S3: Versity's gateway.
    S3,
}

impl Kind {
    /// How many there are: one more than the last.
    const NUMBER: usize = Self::S3 as usize + 1;

    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::ClickHouse => "clickhouse",
            Self::Registry => "registry",
            Self::Collector => "otelcol",
            Self::S3 => "s3",
        }
    }

    /// The variable that names one that runs already.
    fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "TELEMETRA_TEST_POSTGRES",
            Self::Redis => "TELEMETRA_TEST_REDIS",
            Self::Kafka => "TELEMETRA_TEST_KAFKA",
            Self::ClickHouse => "TELEMETRA_TEST_CLICKHOUSE",
            Self::Registry => "TELEMETRA_TEST_REGISTRY",
            Self::Collector => "TELEMETRA_TEST_COLLECTOR",
            Self::S3 => "TELEMETRA_TEST_S3",
        }
    }
}

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    kind: Kind,
    port: u16,
    arguments: Vec<String>,
}

impl Setup {
    /// On this port of 127.0.0.1, which has to be free: for a test in a network of its own.
    #[must_use]
    pub fn at(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A setting as in the server's own configuration file: of `postgresql.conf`, `redis.conf` or `server.properties`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        self
    }

    /// What it confirmed survives a power cut; Redis keeps its data over a restart only so.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.arguments.push("--durable".to_owned());
        self
    }

    /// Clients need TLS (to Postgres: may use it), and the authority's certificate at [`Server::authority`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.arguments.push("--tls".to_owned());
        self
    }

    /// Starts it, and returns when it answers.
    #[must_use]
    pub fn start(self) -> Server {
        let name = self.kind.name();
        let folder = tempfile::Builder::new().prefix(&format!("telemetra-{name}-")).tempdir();
        let folder = folder.unwrap_or_else(|error| panic!("no temporary folder for {name}: {error}")).keep();
        let port = self.port;
        let mut server = Server { setup: self, folder, port, pid: 0, holder: None };
        server.start_again();
        server
    }
}

/// A server of the test's own. It stops, and its folder goes, when this is dropped or the process ends.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    folder: PathBuf,
    port: u16,
    pid: u32,
    holder: Option<(Child, ChildStdin)>,
}

impl Server {
    /// Postgres with a user and a database `telemetra`.
    #[must_use]
    pub fn postgres() -> Self {
        Self::of(Kind::Postgres).start()
    }

    /// Redis, empty.
    #[must_use]
    pub fn redis() -> Self {
        Self::of(Kind::Redis).start()
    }

    /// A Kafka broker without topics; it makes none by itself.
    #[must_use]
    pub fn kafka() -> Self {
        Self::of(Kind::Kafka).start()
    }

    /// One with settings.
    #[must_use]
    pub fn of(kind: Kind) -> Setup {
        Setup { kind, port: 0, arguments: Vec::new() }
    }

    /// Where it listens on 127.0.0.1: the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its folder: data, `log`, certificates.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate of the authority that vouches for it, if started with [`Setup::tls`].
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("tls/ca.crt")
    }

    /// What clients connect to: a URL, or `host:port` of a Kafka broker.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.port;
        match self.setup.kind {
            Kind::Postgres => format!("postgres://telemetra@127.0.0.1:{port}/telemetra"),
            Kind::Redis if self.has_tls() => format!("rediss://127.0.0.1:{port}/"),
            Kind::Redis => format!("redis://127.0.0.1:{port}/"),
            Kind::Kafka => format!("127.0.0.1:{port}"),
            Kind::S3 if self.has_tls() => format!("https://localhost:{port}"),
            Kind::ClickHouse | Kind::S3 => format!("http://127.0.0.1:{port}"),
            Kind::Registry if self.has_tls() => format!("https://localhost:{port}/apis/ccompat/v7"),
            Kind::Registry => format!("http://127.0.0.1:{port}/apis/ccompat/v7"),
            Kind::Collector => format!("http://127.0.0.1:{port}"),
        }
    }

    fn has_tls(&self) -> bool {
        self.setup.arguments.iter().any(|argument| argument == "--tls")
    }

    /// Ends it in order; its data stays for [`start_again`](Self::start_again).
    pub fn stop(&mut self) {
        if let Some((mut holder, stdin)) = self.holder.take() {
            signal("TERM", &[holder.id()]);
            // Its end would mean that the data is not wanted either.
            let ended = holder.wait();
            drop(stdin);
            ended.unwrap_or_else(|error| panic!("could not wait for {}: {error}", self.name()));
        }
    }

    /// Ends it as a crash does (`kill -9`).
    pub fn kill(&mut self) {
        signal("KILL", &[self.pid]);
        if let Some((mut holder, stdin)) = self.holder.take() {
            let ended = holder.wait();
            drop(stdin);
            ended.unwrap_or_else(|error| panic!("could not wait for {}: {error}", self.name()));
        }
    }

    /// Starts it on the same port with the data it had.
    pub fn start_again(&mut self) {
        let name = self.name();
        assert!(self.holder.is_none(), "{name} runs");
        let script = script();
        let mut command = Command::new(&script);
        command.args(["run", name]).arg(&self.folder).arg(self.port.to_string()).arg("--remove");
        command.args(&self.setup.arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut holder = piped.unwrap_or_else(|error| panic!("could not run {}: {error}", script.display()));
        let (Some(stdin), Some(stdout), Some(mut stderr)) =
            (holder.stdin.take(), holder.stdout.take(), holder.stderr.take())
        else {
            panic!("{} was started without pipes", script.display());
        };
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let words: Vec<&str> = line.split_whitespace().collect();
        if let (Ok(_), &["ready", port, pid]) = (read, words.as_slice())
            && let (Ok(port), Ok(pid)) = (port.parse(), pid.parse())
        {
            (self.port, self.pid, self.holder) = (port, pid, Some((holder, stdin)));
            return;
        }
        drop(stdin);
        let mut reason = String::new();
        if let Err(error) = stderr.read_to_string(&mut reason) {
            reason = error.to_string();
        }
        let _ = holder.wait();
        panic!(
            "this test needs {name}, which did not start: {reason}\
             what is missing on Debian is installed by: {} install {name}",
            script.display()
        );
    }

    /// Stops it in its tracks: connections stay, nothing answers.
    pub fn freeze(&self) {
        let processes = self.processes();
        signal("STOP", &processes);
        // The signal is sent; that it has come shows a little later.
        let stopped = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") T "))
        };
        while !processes.iter().all(stopped) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Lets a frozen one go on.
    pub fn thaw(&self) {
        signal("CONT", &self.processes());
    }

    /// The server and its children: Postgres has one for each connection.
    fn processes(&self) -> Vec<u32> {
        let pid = self.pid;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children =
            children.unwrap_or_else(|error| panic!("{} (process {pid}) is gone: {error}", self.name()));
        std::iter::once(pid).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }

    fn name(&self) -> &'static str {
        self.setup.kind.name()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut holder, stdin)) = self.holder.take() {
            drop(stdin);
            // Nobody is left to be told of an error.
            let _ = holder.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A place in a server that this test shares with others, and must not break.
#[derive(Clone, Debug)]
pub struct Place {
    /// What to connect to.
    pub url: String,
    /// Like no other's: call a database, a topic or a prefix so.
    pub name: String,
}

/// A place in the server that the variable `TELEMETRA_TEST_…` leads to; without it, in one of this process's own.
#[must_use]
pub fn shared(kind: Kind) -> Place {
    static OWN: [OnceLock<Server>; Kind::NUMBER] = [const { OnceLock::new() }; Kind::NUMBER];
    static PLACES: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var(kind.variable()).unwrap_or_else(|_| {
        // Never dropped: it stops when the process ends, and our end of the pipe with it.
        OWN[kind as usize].get_or_init(|| Server::of(kind).start()).url()
    });
    let place = PLACES.fetch_add(1, Ordering::Relaxed);
    // A process number comes again on a server that stays.
    let unlike: u32 = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), place) as u32;
    Place { url, name: format!("test_{}_{place}_{unlike:08x}", std::process::id()) }
}

fn script() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found =
        above.find_map(|folder| Some(folder.join("scripts/services")).filter(|script| script.is_file()));
    found.unwrap_or_else(|| panic!("there is no scripts/services above {}", env!("CARGO_MANIFEST_DIR")))
}

/// Through the shell, which has it built in: a bare machine has no program for it.
fn signal(name: &str, processes: &[u32]) {
    let list: Vec<_> = processes.iter().map(ToString::to_string).collect();
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", list.join(" "))]).status();
    match sent {
        Ok(status) if status.success() => {}
        other => panic!("could not send SIG{name} to {}: {other:?}", list.join(", ")),
    }
}
