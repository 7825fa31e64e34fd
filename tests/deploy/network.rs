//! A network of a test's own, as containers have one: with names for addresses, and every port free.
//!
//! The test runs itself again in a network namespace and a mount namespace. Both need root, or the right to be
//! root in a namespace of users; where there is neither, the test says so and proves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::program;

/// Set in the run within the namespaces: the folder of the programs.
const INSIDE: &str = "TELEMETRA_TEST_NETWORK";

/// Brings the loopback device up and puts the names of hosts in place; then comes the command.
const ENTER: &str = r#"ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@""#;

/// What a container makes of a program: a root that is read only, a folder and a `/tmp` of its own, a user
/// without rights. `$0` is the folder of the programs, then come the working folder, the volume and the user.
const CONTAIN: &str = r#"set -e
    programs=$0 folder=$1 volume=$2 user=$3
    shift 3
    mount --bind "$programs" /usr/local/bin
    mount -t tmpfs tmpfs /var/lib
    mkdir -p "$folder"
    mount --bind "$volume" "$folder"
    cd "$folder"
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mount -o remount,bind,ro /
    exec setpriv --pdeathsig KILL --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
        --bounding-set=-all --inh-caps=-all -- "$@""#;

/// Runs the rest of the test named so in a network where these names are addresses. Returns the folder of the
/// programs in that run, and nothing in the one outside.
pub(crate) fn enter(test: &str, hosts: &[(String, String)], programs: &[&str]) -> Option<PathBuf> {
    if let Some(programs) = std::env::var_os(INSIDE) {
        return Some(programs.into());
    }
    let unshare = ["--net", "--mount", "--propagation", "private"];
    let tried = Command::new("unshare").args(unshare).args(["sh", "-c", "ip link set lo up"]).output();
    match tried {
        Ok(tried) if tried.status.success() => {}
        other => {
            eprintln!("there are no network namespaces here, and nothing is proven: {other:?}");
            return None;
        }
    }
    // Cargo is asked outside, where it finds its registry.
    let built: Vec<_> = programs.iter().map(|name| program::build(name)).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    // Java asks for the machine's own name, which a container's file has as well.
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let own = ("127.0.0.1".to_owned(), own.trim().to_owned());
    let line = |(address, name): &(String, String)| format!("{address} {name}\n");
    let lines: String = hosts.iter().chain([&own]).map(line).collect();
    fs::write(file.path(), format!("127.0.0.1 localhost\n{lines}")).unwrap();
    // Others than root read it, too.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(file.path(), mode).unwrap();
    let mut inner = Command::new("unshare");
    inner.args(unshare).args(["sh", "-c", ENTER]).arg(file.path());
    inner.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = inner.env(INSIDE, built[0].parent().unwrap()).output().unwrap();
    let text =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    None
}

/// A program that runs as in a container, and ends with this.
pub(crate) struct Contained {
    name: String,
    child: Child,
    log: PathBuf,
    _volume: tempfile::TempDir,
}

impl Contained {
    /// Starts a command in a folder that is its own, as a user, with these variables alone.
    pub(crate) fn start(
        name: &str,
        command: &[String],
        environment: &BTreeMap<String, String>,
        programs: &Path,
        folder: &str,
        user: u32,
    ) -> Self {
        let volume = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(volume.path(), Some(user), Some(user)).unwrap();
        let log = std::env::temp_dir().join(format!("telemetra-{name}-{}.log", std::process::id()));
        let file = fs::File::create(&log).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "sh", "-c", CONTAIN]).arg(programs);
        unshare.arg(folder).arg(volume.path()).arg(user.to_string()).args(command);
        unshare.env_clear().env("PATH", "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin");
        unshare.envs(environment).stdin(Stdio::null());
        let child = unshare.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { name: name.to_owned(), child, log, _volume: volume }
    }

    /// Waits until that holds, no longer than so. Fails if the program ends before.
    pub(crate) fn wait(&mut self, what: &str, at_most: Duration, holds: impl Fn() -> bool) {
        let until = Instant::now() + at_most;
        while !holds() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended ({ended:?}) before it was {what}: {}", self.name, self.log());
            assert!(Instant::now() < until, "{} is not {what} within {at_most:?}: {}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A line of `/proc`: of the user, the rights, or the greatest memory.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{field} is not in {status}")).trim().to_owned()
    }

    /// Sends a signal, and waits for the end, no longer than so.
    pub(crate) fn stop(&mut self, signal: &str, at_most: Duration) -> ExitStatus {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.ended(at_most)
    }

    /// Waits for the end, no longer than so.
    pub(crate) fn ended(&mut self, at_most: Duration) -> ExitStatus {
        let until = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "{} does not end within {at_most:?}: {}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}
