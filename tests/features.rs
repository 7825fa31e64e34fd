//! Each feature brings its crates into the tree of dependencies, and without it none of them is there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

/// Features of the facade, and the crate by which each is known.
const CRATES: [(&str, &str); 11] = [
    ("sqlite", "rusqlite"),
    ("kafka", "rdkafka"),
    ("postgres", "tokio-postgres"),
    ("redis", "redis"),
    ("compression", "zstd"),
    ("csv", "csv"),
    ("msgpack", "rmp-serde"),
    ("avro", "serde_avro_fast"),
    ("protobuf", "prost"),
    ("schema-registry", "ureq"),
    ("http-push", "axum"),
];

/// The crates that a user of the facade compiles with these features.
fn tree(features: &str) -> BTreeSet<String> {
    let arguments =
        "tree --locked -p telemetra -e normal --prefix none --format {p} --no-default-features --features";
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments.split(' ')).arg(features);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(ToOwned::to_owned).collect()
}

#[test]
fn a_feature_brings_its_crates_and_no_others() {
    for (feature, _) in [("", ""), ("livestream", "")].iter().chain(&CRATES) {
        let tree = tree(feature);
        assert!(tree.contains("timely") && !tree.contains("object_store"), "{tree:?}");
        let found: Vec<_> =
            CRATES.iter().filter(|(_, name)| tree.contains(*name)).map(|(by, _)| by).collect();
        let expected: Vec<_> = CRATES.iter().filter(|(by, _)| by == feature).map(|(by, _)| by).collect();
        assert_eq!(found, expected, "with `{feature}`");
    }
    // It makes its requests by the client that the registry's has, and by no second one.
    let objects = tree("object-store");
    assert!(objects.contains("object_store") && objects.contains("ureq"), "{objects:?}");
    assert!(!objects.contains("reqwest") && !objects.contains("parquet"), "{objects:?}");
    let full = tree("full");
    assert!(CRATES.iter().all(|(_, name)| full.contains(*name)), "{full:?}");
}

/// That of the examples, which sends spans to a collector: `full` is without it, and it brings no second client of HTTP and no gRPC.
#[test]
fn spans_are_sent_by_a_feature_of_its_own_and_by_clients_that_are_there() {
    let sends = ["opentelemetry", "opentelemetry_sdk", "opentelemetry-otlp", "tracing-opentelemetry"];
    let (without, with) = (tree("full"), tree("full,otlp"));
    for name in sends {
        assert!(!without.contains(name) && with.contains(name), "{name}");
    }
    for name in ["tonic", "reqwest", "hyper-util", "openssl", "aws-lc-rs"] {
        assert_eq!(with.contains(name), without.contains(name), "{name}");
    }
}
