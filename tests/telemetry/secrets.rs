//! The programs with passwords in their settings, right and wrong ones: none of them is printed.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::program;
use crate::services::{Kind, Server};

const PATIENCE: Duration = Duration::from_secs(60);
/// In a URL, in a variable, in a property.
const SECRETS: [&str; 3] = ["hunter2-in-a-url", "s3cret pass\"word", "sasl-Passw0rd"];

/// What a program prints until it ends, or until it has printed these words and is told to stop.
fn printed(mut command: Command, until: &str) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text = Arc::<Mutex<String>>::default();
    let readers = [keep(child.stdout.take().unwrap(), &text), keep(child.stderr.take().unwrap(), &text)];
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && !text.lock().unwrap().contains(until) {
        let so_far = || text.lock().unwrap().clone();
        assert!(begun.elapsed() < PATIENCE, "neither ended nor printed `{until}`: {}", so_far());
        sleep(Duration::from_millis(10));
    }
    stop(&mut child);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let text = text.lock().unwrap().clone();
    for secret in SECRETS {
        let escaped = secret.replace('"', "\\\"");
        assert!(!text.contains(secret) && !text.contains(&escaped), "`{secret}` is in: {text}");
    }
    text
}

fn keep(mut from: impl Read + Send + 'static, text: &Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    let text = Arc::clone(text);
    spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    })
}

fn stop(child: &mut Child) {
    let begun = Instant::now();
    let pid = child.id().to_string();
    let mut orders = 0;
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        // A second one ends it at once.
        if orders == 0 || (orders == 1 && begun.elapsed() > Duration::from_secs(15)) {
            assert!(Command::new("kill").arg(&pid).status().unwrap().success());
            orders += 1;
        }
        sleep(Duration::from_millis(10));
    }
}

fn with(program: &Path, folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = program::command(program, folder, arguments);
    command.envs(variables.iter().copied()).env("LOG_LEVEL", "debug");
    command
}

#[test]
fn no_program_prints_a_password() {
    let [url, variable, property] = SECRETS;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (postgres, redis) = (Server::postgres(), Server::of(Kind::Redis).set("requirepass", url).start());
    let (postgres_port, redis_port) = (postgres.port().to_string(), redis.port().to_string());
    let nobody = telemetra::ops::free_addresses(1).unwrap().remove(0);
    let good_url = format!("redis://:{url}@127.0.0.1:{redis_port}/");
    let bad_url = format!("redis://:{url}-not@127.0.0.1:{redis_port}/");
    let no_url = format!("redis://me:{url}@127.0.0.1:port/");
    let sasl = format!("sasl.password={property}");
    let host =
        [("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_PORT", &postgres_port), ("POSTGRES_PASSWORD", variable)];
    let login = [
        "--kafka",
        &nobody,
        "--kafka-property",
        "security.protocol=SASL_PLAINTEXT",
        "--kafka-property",
        "sasl.mechanism=PLAIN",
        "--kafka-property",
        "sasl.username=me",
        "--kafka-property",
        &sasl,
    ];
    let wrong = [&login[..], &["--kafka-property", "no.such.property=1"]].concat();

    let program = program::build("full_pipeline");
    let run = |arguments: &[&str], variables: &[(&str, &str)], until: &str| {
        let text = printed(with(&program, folder, arguments, variables), until);
        assert!(text.contains(until), "`{until}` is not in: {text}");
        text
    };
    let small = ["--minutes", "3", "--streams", "5", "--events", "500", "--partitions", "1"];
    // Right ones: Postgres trusts whoever comes, so any password is.
    for format in ["text", "json"] {
        let arguments = [&small[..], &["--log-format", format, "--start-over", "--json"]].concat();
        let text = run(&arguments, &[&host[..], &[("REDIS_URL", &good_url)]].concat(), "\"read\"");
        assert!(!text.contains('\u{1b}'), "no colour where there is no terminal: {text}");
    }
    // Wrong ones.
    run(&small, &[&host[..], &[("POSTGRES_USER", "nobody")]].concat(), "nobody");
    run(&small, &[("REDIS_URL", &bad_url)], "password is wrong");
    run(&small, &[("REDIS_URL", &no_url)], "error:");
    run(&small, &[("POSTGRES_HOST", &no_url)], "error:");
    run(&[&small[..], &["--postgres-port", &no_url]].concat(), &host, "error:");
    run(&login, &[], "Kafka");
    run(&wrong, &[], "no.such.property");
    run(&["--kafka", &nobody, "--kafka-property", property], &[], "error:");
    run(&[&small[..], &["--webhook", &format!("http://me:{url}@{nobody}/")]].concat(), &[], "events in");

    let program = program::build("mock_producer");
    let run = |arguments: &[&str], until: &str| {
        let text = printed(with(&program, folder, arguments, &[]), until);
        assert!(text.contains(until), "`{until}` is not in: {text}");
    };
    run(&login, "Kafka");
    run(&wrong, "no.such.property");

    let program = program::build("api");
    let run = |variables: &[(&str, &str)], until: &str| {
        let text = printed(with(&program, folder, &["--port", "0"], variables), until);
        assert!(text.contains(until), "`{until}` is not in: {text}");
    };
    run(&[("API_TOKEN", property)], "dashboard");
    run(&[("API_TOKEN", variable)], "error:");
    run(&[&host[..], &[("REDIS_URL", &good_url)]].concat(), "dashboard");
    run(&[&host[..], &[("REDIS_URL", &bad_url)]].concat(), "dashboard");
    let nobody = [("POSTGRES_USER", "nobody"), ("REDIS_URL", &good_url)];
    run(&[&host[..], &nobody].concat(), "dashboard");
}
