//! Failures: whether they are transient, and what the errors say.

use std::fs;
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{ExternalError, Retry};
use telemetra_sinks::ObjectStoreConfig;

use crate::gateway::{self, SECRET};
use crate::services::{Kind, Server};
use crate::{Own, config, store, told};

fn claim(config: &ObjectStoreConfig) -> ExternalError {
    store(config).claim(0, 1).unwrap_err()
}

fn says(error: &ExternalError, retry: Retry, parts: &[&str]) {
    let text = told(error);
    assert_eq!(error.retry(), retry, "{text}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn a_server_that_is_away_for_a_while_is_a_failure_that_passes() {
    let mut own = Own::start();
    let mut store = own.store();
    store.claim(0, 1).unwrap();
    store.put("a", b"a").unwrap();
    own.server.kill();
    let parts = ["s3://telemetra/checkpoints/of/one/blobs/", "check the address"];
    says(&store.put("b", b"b").unwrap_err(), Retry::Transient, &parts);
    let parts = ["s3://telemetra/checkpoints/of/one/index.json"];
    says(&store.get("a").unwrap_err(), Retry::Transient, &parts);
    own.server.start_again();
    store.put("b", b"b").unwrap();
    assert_eq!(store.list().unwrap(), ["a", "b"]);
    assert_eq!(store.get("a").unwrap().as_deref(), Some(&b"a"[..]));
}

#[test]
fn a_server_that_does_not_answer_is_given_up_after_the_time_limit() {
    let own = Own::start();
    let mut store = store(&own.config().timeout(Duration::from_millis(300)));
    own.server.freeze();
    says(&store.claim(0, 1).unwrap_err(), Retry::Transient, &["does not answer"]);
    own.server.thaw();
    store.claim(0, 1).unwrap();
}

#[test]
fn wrong_credentials_are_told_without_the_secret() {
    let wrong = config().option("aws_secret_access_key", "wrong-secret").unwrap();
    assert!(!format!("{wrong:?} {:?}", store(&wrong)).contains("wrong-secret"));
    let error = claim(&wrong);
    says(&error, Retry::Permanent, &["could not read s3://telemetra/", "index.json", "check them"]);
    assert!(!told(&error).contains("wrong-secret"));
    // The gateway has a code of its own for that, which must not be taken for an object that is not there.
    let nobody = config().option("aws_access_key_id", "nobody").unwrap();
    says(&store(&nobody).get("a").unwrap_err(), Retry::Permanent, &["could not read s3://telemetra/"]);
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let other = ObjectStoreConfig::from_url("s3://another/prefix").unwrap();
    let own = Own::start();
    let other = [
        ("aws_endpoint", &*own.server.url()),
        ("aws_region", "us-east-1"),
        ("aws_access_key_id", gateway::KEY),
        ("aws_secret_access_key", SECRET),
        ("aws_allow_http", "true"),
    ]
    .into_iter()
    .fold(other, |config, (name, value)| config.option(name, value).unwrap());
    says(&claim(&other), Retry::Permanent, &["s3://another/prefix", "no such bucket"]);
    assert_eq!(store(&other).list().unwrap_err().retry(), Retry::Permanent);
}

#[test]
fn without_encryption_it_is_used_only_if_that_is_allowed() {
    let config = config().option("aws_allow_http", "false").unwrap();
    says(&claim(&config), Retry::Permanent, &["not encrypted", "allow_http"]);
}

#[test]
fn tls_is_checked_by_the_authority_that_is_given() {
    let server = Server::of(Kind::S3).tls().start();
    let config = gateway::config(&server.url(), "tls").option("aws_allow_http", "false").unwrap();
    says(&claim(&config), Retry::Permanent, &["no safe connection", "authority"]);
    let pem = fs::read(server.authority()).unwrap();
    let mut store = store(&config.authority(&pem));
    store.claim(0, 1).unwrap();
    store.put("a", &[7; 300_000]).unwrap();
    assert_eq!(store.get("a").unwrap(), Some(vec![7; 300_000]));
}

#[test]
fn urls_and_options_that_cannot_be_are_refused() {
    for url in [
        "bucket",
        "ftp://bucket/a",
        "s3://",
        "s3:///a",
        "s3://k:s3cr3t@bucket",
        "s3://b/a?x=s3cr3t",
        "s3://b/a//b",
    ] {
        let error = ObjectStoreConfig::from_url(url).unwrap_err().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }
    for url in ["s3://bucket", "s3://bucket/", "gs://bucket/a/b", "az://container/a", "memory:///"] {
        ObjectStoreConfig::from_url(url).unwrap();
    }
    let config = ObjectStoreConfig::from_url("gs://bucket").unwrap();
    assert!(config.option("aws_region", "x").unwrap_err().to_string().contains("aws_region"));
}
