//! The example programs, as a user runs them.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

/// Where an example program is. `cargo test` alone builds it, a run of one test by its name does not: so it is asked to.
/// Ask once.
pub fn build(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", example, "--target-dir"]);
    cargo.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test of its package would be news to build scripts that look at it, and they would run again.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.starts_with(own)))
        {
            cargo.env_remove(name);
        }
    }
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    // With the features that this test was built with, nothing is built twice.
    for (feature, is_on) in [("kafka-tls", cfg!(feature = "kafka-tls")), ("otlp", cfg!(feature = "otlp"))] {
        if is_on {
            cargo.args(["--features", feature]);
        }
    }
    assert!(cargo.status().unwrap().success());
    folder.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX))
}

/// A program in a folder, without the servers that this process is told of.
pub fn command(program: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_HOST", "REDIS_URL"] {
        command.env_remove(variable);
    }
    command
}

/// The object on the last line of what a run that ended with `code` printed.
pub fn last_line(output: &Output, code: i32) -> Json {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    let last = stdout.lines().last().unwrap_or_else(|| panic!("it told nothing: {stderr}"));
    serde_json::from_str(last).unwrap()
}
