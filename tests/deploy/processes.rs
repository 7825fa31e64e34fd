//! The services of the compose file, and the units of systemd, run as processes in a network of their own.
//!
//! Kafka, Postgres and Redis are real ones; of the images of others nothing is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::compose::{published, resolved};
use super::network::{Contained, enter};
use super::services::{Kind, Server};
use super::systemd::{UNITS, command, unit};
use super::{document, read, texts};

/// How long the docker daemon waits before it kills, where the file says nothing.
const GRACE: Duration = Duration::from_secs(10);

/// The programs, in the order in which they are started.
const PROGRAMS: [&str; 3] = ["producer", "pipeline", "api"];

/// An address for each service.
fn hosts(names: &[&str]) -> Vec<(String, String)> {
    let host = |(n, name): (usize, &&str)| (format!("127.0.1.{}", n + 1), (*name).to_owned());
    names.iter().enumerate().map(host).collect()
}

fn environment(service: &Json) -> BTreeMap<String, String> {
    let pairs = service["environment"].as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// A length of time of a compose file, such as `10s`.
fn span(value: &Json) -> Option<Duration> {
    let text = value.as_str()?;
    let seconds = text.strip_suffix('s').unwrap_or_else(|| panic!("{text} is not in seconds"));
    Some(Duration::from_secs(seconds.parse().unwrap()))
}

/// Whether the health check of a service passes now.
fn is_healthy(service: &Json) -> bool {
    let test = texts(&service["healthcheck"]["test"]);
    let mut check = match test[0].as_str() {
        "CMD" => Command::new(&test[1]),
        "CMD-SHELL" => Command::new("sh"),
        other => panic!("{other} is no way of checking"),
    };
    match test[0].as_str() {
        "CMD" => check.args(&test[2..]),
        _ => check.arg("-c").arg(&test[1]),
    };
    // The checks of servers run within their containers, whose variables they have.
    check.envs(environment(service)).env("PGHOST", "postgres");
    check.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// How long a container may take until it is unhealthy.
fn patience(service: &Json) -> Duration {
    let check = &service["healthcheck"];
    let retries = u32::try_from(check["retries"].as_u64().unwrap()).unwrap();
    span(&check["start_period"]).unwrap_or_default() + span(&check["interval"]).unwrap() * retries
}

fn until_healthy(name: &str, service: &Json) {
    let until = Instant::now() + patience(service);
    while !is_healthy(service) {
        assert!(Instant::now() < until, "{name} does not get healthy");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is at a URL, or nothing if it is not answered well.
fn get(url: &str) -> Option<String> {
    let curl = Command::new("curl").args(["-fsS", "--max-time", "10", url]).output().unwrap();
    curl.status.success().then(|| String::from_utf8_lossy(&curl.stdout).into_owned())
}

/// Kafka with the settings that the image makes of the variables of a service.
fn kafka(service: &Json) -> Server {
    let mut setup = Server::of(Kind::Kafka);
    for (name, value) in environment(service) {
        // Where the data is, and how much memory Java gets, is the container's affair.
        if ["KAFKA_LOG_DIRS", "KAFKA_HEAP_OPTS"].contains(&name.as_str()) {
            continue;
        }
        let property = name.strip_prefix("KAFKA_").unwrap().to_lowercase().replace('_', ".");
        setup = setup.set(&property, &value);
    }
    setup.start()
}

/// Postgres at its port, with the password that a service says: nobody gets in without.
fn postgres(service: &Json) -> (Server, tempfile::NamedTempFile) {
    let variables = environment(service);
    let rules = tempfile::NamedTempFile::new().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(rules.path(), mode).unwrap();
    let rule = |method: &str| format!("host all all 0.0.0.0/0 {method}\n");
    std::fs::write(rules.path(), rule("trust")).unwrap();
    let setup = Server::of(Kind::Postgres).at(5432).set("listen_addresses", "*");
    let server = setup.set("hba_file", rules.path().to_str().unwrap()).start();
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    let (user, password) = (&variables["POSTGRES_USER"], &variables["POSTGRES_PASSWORD"]);
    client.batch_execute(&format!("ALTER ROLE {user} PASSWORD '{password}'")).unwrap();
    std::fs::write(rules.path(), rule("scram-sha-256")).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    while postgres::Client::connect(&server.url(), postgres::NoTls).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    (server, rules)
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Redis by the command of the compose file; the entry point of the image becomes the command that it is given.
fn redis(service: &Json, folder: &Path) -> Ended {
    let entry = folder.join("docker-entrypoint.sh");
    std::fs::write(&entry, "#!/bin/sh\nexec \"$@\"\n").unwrap();
    std::fs::set_permissions(&entry, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut redis = Command::new("setpriv");
    redis.args(["--pdeathsig", "KILL", "--"]).args(texts(&service["command"]));
    redis.envs(environment(service)).env("PATH", path).current_dir(folder);
    Ended(redis.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
}

/// The user of the image.
fn user() -> u32 {
    let file = read("deploy/Dockerfile");
    file.lines().find_map(|line| line.strip_prefix("USER ")).unwrap().parse().unwrap()
}

/// The exit codes of a program that was told to stop and has not failed.
fn good_ends() -> BTreeSet<i32> {
    let ends = UNITS.map(|name| unit(name)["SuccessExitStatus"].clone()).join(" ");
    ends.split(' ').map(|code| code.parse().unwrap()).chain([0]).collect()
}

#[test]
fn the_services_of_the_compose_file_run_as_processes() {
    let services = resolved().1;
    let names = ["kafka", "postgres", "redis", "producer", "pipeline", "api"];
    let test = "processes::the_services_of_the_compose_file_run_as_processes";
    let Some(programs) = enter(test, &hosts(&names), &["full_pipeline", "mock_producer", "api"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();

    let _kafka = kafka(&services["kafka"]);
    let _postgres = postgres(&services["postgres"]);
    let _redis = redis(&services["redis"], folder.path());
    let mut started: BTreeSet<&str> = BTreeSet::new();
    for name in ["kafka", "postgres", "redis"] {
        until_healthy(name, &services[name]);
        started.insert(name);
    }

    let mut running = Vec::new();
    for name in PROGRAMS {
        let service = &services[name];
        for (before, condition) in service["depends_on"].as_object().unwrap() {
            let condition = &condition["condition"];
            assert!(started.contains(before.as_str()), "{name} is started before {before}");
            assert!(condition == "service_started" || is_healthy(&services[before]), "{name}: {before}");
        }
        let (command, environment) = (texts(&service["command"]), environment(service));
        let mut program =
            Contained::start(name, &command, &environment, &programs, "/var/lib/telemetra", user());
        if service["healthcheck"].is_object() {
            program.wait("healthy", patience(service), || is_healthy(service));
        }
        started.insert(name);
        running.push((name, program));
    }

    // As one outside asks, at the address of the machine.
    let (address, port) = published(&services["api"]).remove(0);
    let api = format!("http://{address}:{port}");
    let (_, program) = running.last_mut().unwrap();
    program.wait("answering with results", Duration::from_secs(120), || {
        let streams = get(&format!("{api}/streams")).unwrap_or_default();
        let streams: Json = serde_json::from_str(&streams).unwrap_or_default();
        streams["streams"]
            .as_array()
            .is_some_and(|all| all.iter().any(|stream| stream["current"].is_object()))
    });
    assert!(get(&format!("{api}/")).unwrap().contains("<html"), "the dashboard is at {api}/");
    // And as Prometheus asks.
    let jobs = document("deploy/prometheus/prometheus.yaml")["scrape_configs"].as_array().unwrap().clone();
    for target in jobs.iter().flat_map(|job| texts(&job["static_configs"][0]["targets"])) {
        let metrics = get(&format!("http://{target}/metrics")).unwrap_or_default();
        assert!(metrics.contains("# TYPE telemetra_"), "{target}: {metrics}");
    }

    let ends = good_ends();
    while let Some((name, mut program)) = running.pop() {
        let service = &services[name];
        assert_eq!(program.status("CapEff"), "0000000000000000", "{name}");
        assert_eq!(program.status("NoNewPrivs"), "1", "{name}");
        let peak: u64 = program.status("VmHWM").trim_end_matches(" kB").parse().unwrap();
        let limit = service["deploy"]["resources"]["limits"]["memory"].as_str().unwrap();
        let limit = match limit.split_at(limit.len() - 1) {
            (number, "m") => number.parse::<u64>().unwrap() << 10,
            (number, "g") => number.parse::<u64>().unwrap() << 20,
            other => panic!("{other:?} is no limit of memory"),
        };
        assert!(peak < limit, "{name} takes {peak} KiB of the {limit} it may");
        let status = program.stop("TERM", span(&service["stop_grace_period"]).unwrap_or(GRACE));
        let code = status.code().unwrap_or_else(|| panic!("{name}: {status}"));
        assert!(ends.contains(&code), "{name} ended with {code}: {}", program.log());
        println!("{name}: stopped with {code}, {} MiB at most", peak >> 10);
    }
}

#[test]
fn the_units_run_as_processes() {
    // What the examples of the settings call the servers, and one who is not there.
    let names = ["kafka-1", "db", "redis", "kafka-2"];
    let test = "processes::the_units_run_as_processes";
    let Some(programs) = enter(test, &hosts(&names), &["full_pipeline", "api"]) else { return };
    let services = resolved().1;
    let mut service = services["kafka"].clone();
    service["environment"]["KAFKA_ADVERTISED_LISTENERS"] = "PLAINTEXT://kafka-1:9092".into();
    let _kafka = kafka(&service);
    let (_postgres, _rules) = postgres(&services["postgres"]);
    let _redis = Server::of(Kind::Redis).at(6379).set("bind", "0.0.0.0").set("protected-mode", "no").start();
    let topics = ["chat", "viewer", "transactions", "stream_meta"];
    create(topics.map(|topic| format!("telemetra.events.{topic}")));

    for name in UNITS {
        let unit = unit(name);
        let file = unit["EnvironmentFile"].strip_prefix("/etc/telemetra/").unwrap();
        let example = read(&format!("deploy/systemd/{file}.example"));
        let pairs =
            example.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let mut environment: BTreeMap<_, _> =
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let password = &services["postgres"]["environment"]["POSTGRES_PASSWORD"];
        environment.insert("POSTGRES_PASSWORD".to_owned(), password.as_str().unwrap().to_owned());
        // Where systemd chooses users of its own from.
        let user = 61_184;
        let folder = &unit["WorkingDirectory"];
        let mut program = Contained::start(name, &command(&unit), &environment, &programs, folder, user);
        // The pipeline runs once its tables are there, and only then the API is healthy.
        let (asked, answer) = match environment.get("TELEMETRA_METRICS_ADDRESS") {
            Some(address) => (format!("http://{address}/metrics"), "telemetra_pipeline_up{"),
            None => {
                let address = format!("{}:{}", environment["API_HOST"], environment["API_PORT"]);
                (format!("http://{address}/health"), "")
            }
        };
        program
            .wait("running", Duration::from_secs(60), || get(&asked).is_some_and(|it| it.contains(answer)));
        assert!(program.status("Uid").contains(&user.to_string()));
        let within = Duration::from_secs(unit["TimeoutStopSec"].parse().unwrap());
        let status = program.stop(unit["KillSignal"].trim_start_matches("SIG"), within);
        assert!(good_ends().contains(&status.code().unwrap()), "{name}: {status}: {}", program.log());

        // A setting that cannot work ends with the code after which systemd does not start it again.
        environment.insert("LOG_LEVEL".to_owned(), "loud".to_owned());
        let mut program = Contained::start(name, &command(&unit), &environment, &programs, folder, user);
        let status = program.ended(Duration::from_secs(60));
        let code = status.code().map(|code| code.to_string());
        let prevents = unit["RestartPreventExitStatus"].split_whitespace();
        assert!(prevents.into_iter().any(|it| Some(it) == code.as_deref()), "{name}: {}", program.log());
    }
}

/// Creates topics on the first broker of the examples.
fn create(names: [String; 4]) {
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    let admin: AdminClient<_> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", "kafka-1:9092").create().unwrap();
    let topics: Vec<_> =
        names.iter().map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for created in runtime.block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap() {
        created.unwrap();
    }
}
