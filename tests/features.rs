//! Each feature brings its crates into the tree of dependencies, and without it none of them is there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

/// Features of the facade, and which of the crates in this table each brings: clients of servers, formats, and what they stand
/// on.
const CRATES: [(&str, &[&str]); 19] = [
    ("", &[]),
    ("livestream", &[]),
    ("sqlite", &["rusqlite"]),
    ("kafka", &["rdkafka"]),
    ("postgres", &["rustls", "tokio", "tokio-postgres"]),
    ("redis", &["redis", "rustls"]),
    ("compression", &["zstd"]),
    ("csv", &["csv"]),
    ("msgpack", &["rmp-serde"]),
    ("avro", &["serde_avro_fast"]),
    ("protobuf", &["prost"]),
    ("schema-registry", &["rustls", "ureq"]),
    ("http-push", &["axum"]),
    ("http", &["axum", "tokio", "utoipa"]),
    ("webhook", &["rustls", "ureq"]),
    ("clickhouse", &["rustls", "ureq"]),
    ("parquet", &["parquet"]),
    // It makes its requests by the client that the others have, and by no second one.
    ("object-store", &["object_store", "rustls", "tokio", "ureq"]),
    ("otlp", &["opentelemetry", "prost", "rustls", "ureq"]),
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
    let all: BTreeSet<&str> = CRATES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    for (feature, expected) in CRATES {
        let tree = tree(feature);
        assert!(tree.contains("timely") && !tree.contains("reqwest"), "{tree:?}");
        let found: Vec<_> = all.iter().filter(|name| tree.contains(**name)).copied().collect();
        assert_eq!(found, expected, "with `{feature}`");
    }
    let full = tree("full");
    let missing: Vec<_> = all.iter().filter(|name| !full.contains(**name)).collect();
    assert_eq!(missing, [&"opentelemetry"]);
}

/// The feature of the examples that send spans to a collector: `full` is without it, and it brings no second client of HTTP and
/// no gRPC.
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

/// The features of Kafka beside `kafka` have no item of their own, and need an OpenSSL.
#[test]
fn docs_rs_shows_the_items_of_every_feature() {
    let names = |manifest: &str, part: &[&str]| -> BTreeSet<String> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest);
        let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let mut found = &toml::Value::Table(table);
        part.iter().for_each(|name| found = &found[*name]);
        match found {
            toml::Value::Table(table) => table.keys().cloned().collect(),
            list => {
                list.as_array().unwrap().iter().filter_map(|name| name.as_str()).map(str::to_owned).collect()
            }
        }
    };
    for (manifest, shown) in [
        ("telemetra-sinks/Cargo.toml", &["package", "metadata", "docs", "rs", "features"][..]),
        ("Cargo.toml", &["features", "full"][..]),
    ] {
        let shown = names(manifest, shown);
        let hidden: Vec<_> = names(manifest, &["features"])
            .into_iter()
            .filter(|name| !shown.contains(name) && !name.starts_with("kafka-"))
            .filter(|name| !["default", "full", "otlp"].contains(&name.as_str()))
            .collect();
        assert!(hidden.is_empty(), "{manifest}: {hidden:?}");
    }
    assert_eq!(
        names("Cargo.toml", &["package", "metadata", "docs", "rs", "features"]),
        ["full".to_owned()].into()
    );
}
