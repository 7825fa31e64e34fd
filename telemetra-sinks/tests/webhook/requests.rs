//! The contents of a request: body, headers, id and signature.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::json;
use telemetra_core::{Action, Clock, Retry, Sink, SinkProgress};
use telemetra_sinks::{Webhook, WebhookSecret};

use crate::common::{alert, batch, change, moment, moment_of, moments_in, readings, tables};
use crate::receiver::{Receiver, Reply, Request};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBk=";

pub(crate) fn webhook(receiver: &Receiver, folder: &Path) -> Webhook {
    Webhook::new(&receiver.url(), folder).unwrap().table("moments").table("alerts")
}

fn opened(mut webhook: Webhook) -> Webhook {
    webhook.open(&tables(), None).unwrap();
    webhook
}

fn verified(secret: &str, request: &Request) -> bool {
    let header = |name| request.headers.get(name).map_or("", String::as_str);
    let secret = WebhookSecret::new(secret).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(Clock::system().now().0);
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    secret.verify(id, timestamp, header("webhook-signature"), &request.body, now)
}

#[test]
fn a_request_is_a_change_of_a_chosen_table() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    let mut sink = opened(webhook(&receiver, folder.path()).header("authorization", "Bearer t0ken"));
    sink.apply(&[batch(0, vec![readings("d", 0, 1), moment("d\"1", 0, true)])]).unwrap();
    let gone = change(&moments_in("moments"), moment_of("d\"1", 0, 1, true), 1, Action::Withdraw);
    sink.apply(&[batch(1, vec![gone])]).unwrap();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "of the table that was not chosen nothing is posted");
    let first = &requests[0];
    assert_eq!(first.line, "POST /hooks?token=s3cret HTTP/1.1");
    assert_eq!(first.headers["content-type"], "application/json");
    assert_eq!(first.headers["authorization"], "Bearer t0ken");
    assert_eq!(first.headers.get("webhook-signature"), None, "without a secret");
    let body = first.json();
    assert_eq!(body["table"], json!("moments"));
    assert_eq!(body["device"], json!("d\"1"));
    assert_eq!((&body["action"], &body["revision"]), (&json!("upsert"), &json!(0)));
    assert_eq!(body["time"], json!("2026-01-01T00:00:59.999Z"));
    let body = requests[1].json();
    assert_eq!((&body["action"], &body["revision"]), (&json!("withdraw"), &json!(1)));
    assert_eq!(body["value"], json!(42.5), "a withdrawal says what the row was");
}

#[test]
fn ids_are_of_a_pipeline_a_row_and_a_revision() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    let layout = telemetra_core::Layout::of_row();
    let post = |name: &str, pipeline: &str, over: bool| {
        let before = receiver.requests().len();
        let sink = webhook(&receiver, &folder.path().join(name)).pipeline(pipeline).parallel(1);
        let mut sink = opened(if over { sink.start_over() } else { sink });
        let changes = |revision| {
            let alerts = [alert("a", 1, 1), alert("a/1", 1, 1), alert("b", 1, 1)];
            alerts.map(|alert| change(&layout, alert, revision, Action::Upsert)).to_vec()
        };
        sink.apply(&[batch(1, changes(0)), batch(2, changes(1))]).unwrap();
        let requests = receiver.requests();
        requests[before..].iter().map(|request| request.id().to_owned()).collect::<Vec<_>>()
    };
    let first = post("one", "p", false);
    assert_eq!(first.len(), 6);
    assert!(first[0].starts_with("alerts_") && first[0].ends_with("_0_0"), "{first:?}");
    assert!(first[3].ends_with("_0_1") && first[0][..39] == first[3][..39], "{first:?}");
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), 6);
    assert_eq!(post("two", "p", false), first, "the same pipeline, on another machine");
    assert!(post("three", "q", false).iter().all(|id| !first.contains(id)), "another pipeline");
    assert_eq!(post("one", "p", false), Vec::<String>::new(), "it goes on after what it has");
    let again = post("one", "p", true);
    assert!(again.len() == 6 && again.iter().all(|id| !first.contains(id)), "a run that starts over");
}

#[test]
fn requests_are_signed_and_receivers_can_tell() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    let secret = |text| WebhookSecret::new(text).unwrap();
    let sink = webhook(&receiver, folder.path()).secret(secret(SECRET)).secret(secret(OTHER));
    opened(sink).apply(&[batch(0, vec![moment("d", 0, true)])]).unwrap();
    let request = receiver.requests().remove(0);
    assert!(verified(SECRET, &request) && verified(OTHER, &request), "by either secret");
    assert!(!verified("whsec_c29tZSBvdGhlciBzZWNyZXQ=", &request));
    for spoil in [
        (|request: &mut Request| request.body[5] ^= 1) as fn(&mut Request),
        |request| drop(request.headers.insert("webhook-id".to_owned(), "other".to_owned())),
        |request| drop(request.headers.insert("webhook-timestamp".to_owned(), "1".to_owned())),
        |request| drop(request.headers.insert("webhook-timestamp".to_owned(), "now".to_owned())),
        |request| drop(request.headers.insert("webhook-signature".to_owned(), "v1,".to_owned())),
        |request| drop(request.headers.remove("webhook-signature")),
    ] {
        let mut spoilt = request.clone();
        spoil(&mut spoilt);
        assert!(!verified(SECRET, &spoilt));
        assert_eq!(
            verified_by_python(&spoilt),
            !spoilt.headers.contains_key("webhook-signature") && verified(SECRET, &spoilt)
        );
    }
    assert!(verified_by_python(&request));
}

/// The verdict of the example in the documentation on a request.
fn verified_by_python(request: &Request) -> bool {
    let docs = include_str!("../../src/webhook/mod.rs");
    let example = docs.split("```python\n").nth(1).unwrap().split("/// ```").next().unwrap();
    let mut program: String = example
        .lines()
        .map(|line| line.trim_start_matches("///").strip_prefix(' ').unwrap_or(""))
        .fold(String::new(), |text, line| text + line + "\n");
    program += "import json, sys\n\
         given = json.load(sys.stdin)\n\
         given['headers'].setdefault('webhook-signature', '')\n\
         print(verify(given['secret'], given['headers'], given['body'].encode()))\n";
    let mut python = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("there is no `python3` to run the example with: {error}; install it"));
    let mut headers = request.headers.clone();
    if headers["webhook-timestamp"].parse::<u64>().is_err() {
        headers.insert("webhook-timestamp".to_owned(), "0".to_owned());
    }
    let body = String::from_utf8(request.body.clone()).unwrap();
    let given = json!({"secret": SECRET, "headers": headers, "body": body});
    python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim() == "True"
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_posted() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["", "alerts.example", "ftp://alerts.example/", "https:///hooks", "http://me@/", "http://a b/"]
    {
        assert!(Webhook::new(url, folder.path()).is_err(), "{url}");
    }
    let said = Webhook::new("me:p4ss@alerts?key=s3cret", folder.path()).unwrap_err().to_string();
    assert!(!said.contains("s3cret") && !said.contains("p4ss"), "{said}");
    for secret in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_????", "whsec_c2hvcnQ="] {
        assert!(WebhookSecret::new(secret).is_err(), "{secret}");
    }
    let receiver = Receiver::start();
    let none = Webhook::new(&receiver.url(), folder.path()).unwrap().open(&tables(), None).unwrap_err();
    assert!(none.to_string().contains("no table is named"), "{none}");
    let unknown = webhook(&receiver, folder.path()).table("others").open(&tables(), None).unwrap_err();
    assert!(unknown.to_string().contains("no table `others`"), "{unknown}");
    assert!(!unknown.to_string().contains("s3cret"), "{unknown}");
    let closed = webhook(&receiver, folder.path()).apply(&[]).unwrap_err();
    assert!(closed.to_string().contains("not open"), "{closed}");
}

#[test]
fn a_folder_has_one_owner() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    let sink = || webhook(&receiver, folder.path());
    let mut first = opened(sink().pipeline("p"));
    let locked = sink().pipeline("p").open(&tables(), None).unwrap_err();
    assert_eq!(locked.retry(), Retry::Transient, "{locked}");
    // Who stands by reads the progress, which needs no lock.
    assert_eq!(sink().progress().unwrap(), SinkProgress::Until(None));
    first.apply(&[batch(0, vec![moment("d", 0, true)])]).unwrap();
    assert_eq!(sink().progress().unwrap(), SinkProgress::Until(Some(batch(0, vec![]).time)));
    drop(first);
    let none = webhook(&receiver, &folder.path().join("none")).progress().unwrap();
    assert_eq!(none, SinkProgress::Until(None));
    let other = sink().pipeline("q").open(&tables(), None).unwrap_err();
    assert!(other.to_string().contains("belongs to the pipeline `p`"), "{other}");
    let progress = folder.path().join("progress.json");
    for (text, word) in [("{", "damaged"), (r#"{"version":9,"time":null,"number":0}"#, "version 9")] {
        std::fs::write(&progress, text).unwrap();
        let error = sink().pipeline("p").open(&tables(), None).unwrap_err();
        assert!(error.retry() == Retry::Permanent && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn rows_of_one_time_are_posted_in_parallel_and_those_of_the_next_after_them() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    // Each of the first four waits until all of them are there.
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(4));
    receiver.answer(move |request| {
        if request.json()["time"] == json!("2026-01-01T00:00:59.999Z") {
            barrier.wait();
        }
        Reply::Good
    });
    let mut sink = opened(webhook(&receiver, folder.path()).parallel(4));
    let moments = |nth| ["a", "b", "c", "d"].map(|device| moment(device, nth, true)).to_vec();
    sink.apply(&[batch(0, moments(0)), batch(1, moments(1))]).unwrap();
    let times: Vec<_> = receiver.requests().iter().map(|request| request.json()["time"].clone()).collect();
    assert_eq!(times.len(), 8);
    assert!(
        times[..4].iter().all(|time| *time == times[0]) && times[4..].iter().all(|time| *time == times[4])
    );
}
