//! Tests of the program without the clients of servers, as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::process::{Command, Output};

fn run(folder: &tempfile::TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_full_pipeline"));
    command.args(arguments).current_dir(folder.path());
    for variable in ["KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_HOST", "REDIS_URL"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn it_does_the_whole_job_on_embedded_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&folder, &["--events", "20000", "--json"], &[]);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(last["moments_planted"].as_u64().unwrap() > 0, "{last}");
    assert!(folder.path().join("telemetra.db").metadata().unwrap().len() > 0);
}

#[test]
fn what_needs_a_server_is_refused_before_anything_is_written() {
    let cases: [(&[&str], &[(&str, &str)], &str); 5] = [
        (&["--kafka", "localhost:9092"], &[], "--kafka"),
        (&[], &[("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")], "KAFKA_BOOTSTRAP_SERVERS"),
        (&["--embedded-kafka"], &[], "--embedded-kafka"),
        (&[], &[("POSTGRES_HOST", "localhost")], "POSTGRES_HOST"),
        (&["--redis", "redis://localhost"], &[], "--redis"),
    ];
    for (arguments, variables, name) in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = run(&folder, arguments, variables);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
        assert!(errors.contains(name), "{name}: {errors}");
        assert!(errors.contains("cargo run --release --example full_pipeline"), "{name}: {errors}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_server_that_is_not_used_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("events.jsonl");
    std::fs::write(&input, "").unwrap();
    let arguments = ["--input", input.to_str().unwrap()];
    let output = run(&folder, &arguments, &[("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
