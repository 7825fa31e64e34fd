//! Real servers, on free ports and in temporary folders, that end with the test's process.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use telemetra_sinks::PostgresConfig;

/// Runs the server until its input ends, which it does when the test's process does, however that comes about.
const KEEPER: &str = r#""$@" & cat > /dev/null; kill -CONT $! ; kill -QUIT $!; wait; rm -rf "$FOLDER""#;

/// One server, for all tests that do not break it.
pub(crate) static SHARED: LazyLock<Server> = LazyLock::new(|| {
    Server::start(&["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"])
});

pub(crate) struct Server {
    folder: PathBuf,
    settings: Vec<String>,
    pub(crate) port: u16,
    keeper: Option<Child>,
}

/// A database of its own.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) port: u16,
}

fn binary(name: &str) -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|entry| entry.unwrap().path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no Postgres server to test with: no `{name}` in PATH or /usr/lib/postgresql/*/bin; install `postgresql`")
    })
}

fn is_root() -> bool {
    String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0"
}

/// The server refuses to run as root.
fn as_server(program: &Path) -> Vec<String> {
    let program = program.to_str().unwrap().to_owned();
    if is_root() {
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", &program]
            .map(Into::into)
            .to_vec()
    } else {
        vec![program]
    }
}

impl Server {
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("telemetra-postgres-").tempdir().unwrap().keep();
        Self::start_in(folder, settings)
    }

    /// In a folder that is there and empty.
    pub(crate) fn start_in(folder: PathBuf, settings: &[&str]) -> Self {
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        }
        let mut initdb = as_server(&binary("initdb"));
        initdb.extend(["-D", folder.to_str().unwrap(), "-U", "telemetra", "--auth=trust"].map(Into::into));
        initdb.extend(["-E", "UTF8", "--locale=C", "--no-sync"].map(Into::into));
        let made = Command::new(&initdb[0]).args(&initdb[1..]).output().unwrap();
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Self { folder, settings, port, keeper: None };
        server.resume();
        server
    }

    /// Starts it, again if it was stopped, and waits until it answers.
    pub(crate) fn resume(&mut self) {
        self.launch();
        self.wait();
    }

    /// Waits until it answers, at its socket: what it does at its port is a matter of tests.
    pub(crate) fn wait(&self) {
        let url = format!("host={} port={} user=telemetra dbname=postgres", self.folder.display(), self.port);
        let until = Instant::now() + Duration::from_secs(60);
        while Client::connect(&url, NoTls).is_err() {
            assert!(Instant::now() < until, "the server does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One more setting, from the next start on.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    pub(crate) fn launch(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg("keeper").args(as_server(&binary("postgres")));
        command.arg("-D").arg(&self.folder).args(["-p", &self.port.to_string()]);
        let own = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.display()),
        ];
        for setting in own.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        command.env("FOLDER", &self.folder);
        self.keeper = Some(command.spawn().unwrap());
    }

    /// As a power cut would, but for the disk's cache.
    pub(crate) fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let pid = std::fs::read_to_string(self.folder.join("postmaster.pid")).unwrap_or_default();
            let pid = pid.lines().next().unwrap_or_default().to_owned();
            // The keeper waits for its input and leaves the folder if the server is gone already.
            self.signal(&pid, "-QUIT");
            while self.folder.join("postmaster.pid").exists() && Path::new("/proc").join(&pid).exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            keeper.kill().unwrap();
            keeper.wait().unwrap();
        }
    }

    fn signal(&self, pid: &str, signal: &str) {
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }

    /// The id of its first process.
    pub(crate) fn postmaster(&self) -> u32 {
        let pid = std::fs::read_to_string(self.folder.join("postmaster.pid")).unwrap();
        pid.lines().next().unwrap().parse().unwrap()
    }

    /// Stops all of its processes in their tracks, or lets them go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let pid = self.postmaster().to_string();
        let children = Command::new("pgrep").args(["-P", &pid]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        for pid in children.lines().chain([&*pid]) {
            self.signal(pid, if frozen { "-STOP" } else { "-CONT" });
        }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://telemetra@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A new, empty database.
    pub(crate) fn database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut client = Client::connect(&self.url("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Database { name, port: self.port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            // Its input ends with this.
            drop(keeper.stdin.take().map(|mut input| input.flush()));
            let _ = keeper.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Database {
    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    pub(crate) fn url_at(&self, port: u16) -> String {
        format!("postgres://telemetra@127.0.0.1:{port}/{}", self.name)
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        PostgresConfig::from_url(&self.url()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }

    /// The only value of the only row, as text; nothing if it is null.
    pub(crate) fn one(&self, sql: &str) -> Option<String> {
        let text = format!("SELECT ({sql})::text");
        self.client().query_one(&text, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// As [`one`](Self::one), of what is not null.
    pub(crate) fn text(&self, sql: &str) -> String {
        self.one(sql).unwrap_or_else(|| panic!("{sql} is null"))
    }

    /// Ends every other connection to it.
    pub(crate) fn cut_all(&self) {
        self.client()
            .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .unwrap();
    }
}
