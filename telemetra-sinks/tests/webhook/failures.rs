//! Receivers that fail, and processes that end at a bad time: nothing is lost, and what comes twice has one id.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use telemetra_core::{Batch, Retry, Sink};

use crate::common::{batch, moment, tables};
use crate::receiver::{Receiver, Reply, Request};
use crate::requests::webhook;

fn history() -> Vec<Batch> {
    (0..6).map(|nth| batch(nth, ["a", "b", "c"].map(|device| moment(device, nth, true)).to_vec())).collect()
}

/// The ids of requests by what was posted, which must agree.
fn ids(requests: &[Request]) -> BTreeSet<(String, String)> {
    let all: BTreeSet<_> = requests
        .iter()
        .map(|request| (String::from_utf8(request.body.clone()).unwrap(), request.id().to_owned()))
        .collect();
    let (bodies, ids): (BTreeSet<_>, BTreeSet<_>) = all.iter().cloned().unzip();
    assert_eq!((bodies.len(), ids.len()), (all.len(), all.len()), "one id for one body");
    all
}

#[test]
fn what_may_pass_is_transient_and_goes_on_where_it_failed() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    let mut sink = webhook(&receiver, folder.path()).parallel(1).timeout(Duration::from_secs(3));
    sink.open(&tables(), None).unwrap();
    let history = history();
    let asked =
        |seconds: &str| Reply::Status(429, format!("retry-after: {seconds}\r\n"), "slowly".to_owned());
    for (nth, (reply, pause)) in [
        (Reply::status(503), None),
        (asked("7"), Some(Duration::from_secs(7))),
        (Reply::Cut, None),
        (Reply::Silent, None),
        (Reply::status(408), None),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, count) = (receiver.requests().len(), AtomicUsize::new(0));
        // The second of three fails.
        receiver.answer(
            move |_| {
                if count.fetch_add(1, Ordering::SeqCst) == 1 { reply.clone() } else { Reply::Good }
            },
        );
        let error = sink.apply(&history[nth..=nth]).unwrap_err();
        assert_eq!((error.retry(), error.retry_after()), (Retry::Transient, pause), "{error}");
        assert!(error.to_string().contains("could not post the row moments ("), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        sink.apply(&history[nth..=nth]).unwrap();
        let requests = &receiver.requests()[before..];
        assert_eq!(requests.len(), 4, "what was delivered is not posted again");
        assert_eq!(requests[1].id(), requests[2].id(), "the one that failed is");
        assert_eq!(ids(requests).len(), 3);
    }
}

#[test]
fn a_receiver_that_is_away_is_transient() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    let address = receiver.address();
    let mut sink = webhook(&receiver, folder.path());
    // It need not be there when the pipeline starts.
    drop(receiver);
    assert_eq!(sink.open(&tables(), None).unwrap(), None);
    let error = sink.apply(&history()).unwrap_err();
    assert_eq!(error.retry(), Retry::Transient, "{error}");
    let receiver = Receiver::at(address);
    sink.apply(&history()).unwrap();
    assert_eq!(ids(&receiver.requests()).len(), 18);
}

#[test]
fn what_lasts_is_permanent_and_names_the_row() {
    for status in [301, 400, 401, 403, 404, 410, 413, 422] {
        let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
        receiver
            .answer(move |_| Reply::Status(status, "location: /else\r\n".to_owned(), "not so".to_owned()));
        let mut sink = webhook(&receiver, folder.path());
        sink.open(&tables(), None).unwrap();
        let error = sink.apply(&[batch(0, vec![moment("dev", 0, true)])]).unwrap_err();
        let said = error.to_string();
        assert_eq!(error.retry(), Retry::Permanent, "{said}");
        for part in ["the row moments (", "revision 0", &format!("status {status}: not so"), "/hooks"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("s3cret"), "{said}");
        assert_eq!(receiver.requests().len(), 1, "a redirect is not followed");
        drop(sink);
        assert_eq!(
            webhook(&receiver, folder.path()).open(&tables(), None).unwrap(),
            None,
            "it is not durable"
        );
    }
}

#[test]
fn refused_rows_are_kept_if_that_is_wished() {
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    receiver.answer(|request| match request.json()["device"].as_str() {
        Some("b") => Reply::Status(422, String::new(), "no \"b\"\nhere".to_owned()),
        _ => Reply::Good,
    });
    let mut sink = webhook(&receiver, folder.path()).keep_refused().max_body(1000);
    sink.open(&tables(), None).unwrap();
    let long = "x".repeat(1000);
    sink.apply(&[batch(0, ["a", "b", "c", &long].map(|device| moment(device, 0, true)).to_vec())]).unwrap();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "the long one is not posted");
    let text = fs::read_to_string(folder.path().join("refused.jsonl")).unwrap();
    let mut lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["body"]["device"].as_str().unwrap().len());
    assert_eq!(lines.len(), 2);
    let of_b = requests.iter().find(|request| request.json()["device"] == json!("b")).unwrap();
    assert_eq!(
        lines[0],
        json!({"id": of_b.id(), "reason": "status 422: no \"b\" here", "body": of_b.json()})
    );
    assert!(lines[1]["reason"].as_str().unwrap().contains("and 1000 are allowed"), "{}", lines[1]["reason"]);

    // What is said of the address is not.
    receiver.answer(|_| Reply::status(404));
    let error = sink.apply(&[batch(1, vec![moment("a", 1, true)])]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);

    // Without that wish a long one stops.
    let mut sink = webhook(&receiver, &folder.path().join("other")).max_body(1000);
    sink.open(&tables(), None).unwrap();
    let error = sink.apply(&[batch(0, vec![moment(&long, 0, true)])]).unwrap_err();
    assert!(error.retry() == Retry::Permanent && error.to_string().contains("1000 are allowed"), "{error}");
}

/// The process ends after each request in turn, before the answer is there; the next one goes on from the folder.
#[test]
fn a_process_that_ends_at_any_request_loses_nothing_and_repeats_under_the_same_id() {
    let history = history();
    for end in 1..=18 {
        let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
        let count = AtomicUsize::new(0);
        receiver.answer(move |_| {
            if count.fetch_add(1, Ordering::SeqCst) + 1 == end { Reply::Cut } else { Reply::Good }
        });
        let mut sink = webhook(&receiver, folder.path()).parallel(1);
        sink.open(&tables(), None).unwrap();
        sink.apply(&history).unwrap_err();
        // Neither closed nor called again.
        drop(sink);
        let last = history.last().unwrap().time;
        let mut sink = webhook(&receiver, folder.path());
        let durable = sink.open(&tables(), Some(last)).unwrap();
        let full = (end - 1) / 3;
        assert_eq!(durable, full.checked_sub(1).map(|nth| history[nth].time));
        sink.apply(&history[full..]).unwrap();
        let requests = receiver.requests();
        assert_eq!(ids(&requests).len(), 18, "nothing is lost");
        assert_eq!(requests.len(), 18 + (end - full * 3), "only the batch that was under way is repeated");
    }
}
