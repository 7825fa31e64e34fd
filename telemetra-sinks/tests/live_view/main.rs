//! The live view, as a host service sees it.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod subscribe;
mod tables;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{Readings, batch, moment_of, moments_in, readings, tables as all_tables, window};
use telemetra_core::testkit::{HeldRow, sink_compliance};
use telemetra_core::{Action, AnyRow, Change, EventTime, KeyPart, RowKey, Sink};
use telemetra_sinks::{LiveReader, LiveView};

const HOUR: Duration = Duration::from_secs(3600);

fn view(horizon: Duration) -> LiveView<Readings> {
    let mut view = LiveView::new(horizon);
    view.open(&all_tables(), None).unwrap();
    view
}

fn moment(device: &str, nth: u64, open: bool) -> Change {
    moments_in("moments").upsert(moment_of(device, nth, 1, open), 0)
}

fn time(nth: u64) -> EventTime {
    batch(nth, vec![]).time
}

#[test]
fn answers_queries() {
    let mut view = view(Duration::from_secs(100));
    let reader = view.reader();
    assert!(reader.as_of().is_none() && reader.latest("a").is_none() && reader.subjects().is_empty());
    for nth in 0..5 {
        view.apply(&[batch(nth, vec![readings("a", nth, nth), readings("b", nth, 10 - nth)])]).unwrap();
    }
    view.apply(&[batch(5, vec![moment("a", 5, true)])]).unwrap();

    assert_eq!(reader.latest("a").unwrap().0, window(4));
    let history = reader.history("a", window(1).end..window(3).end);
    assert_eq!(history.iter().map(|(_, readings)| readings.count).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(reader.subjects(), [("a".into(), time(5)), ("b".into(), time(4))]);
    let busiest = reader.subjects_by(|view| view.latest().map(|(_, readings)| readings.count));
    assert_eq!(busiest.iter().map(|(subject, _)| &**subject).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(busiest[0].1.key().unwrap(), "b");
    assert_eq!(reader.open_moments(), reader.moments("a"));
    assert_eq!(reader.open_moments(), [moment_of("a", 5, 1, true)]);
    assert_eq!(reader.as_of(), Some(time(5)));
}

#[test]
fn forgets_beyond_the_horizon_also_what_is_silent() {
    let mut view = view(Duration::from_secs(50));
    let reader = view.reader();
    assert!(reader.subject("silent").is_none());
    view.apply(&[batch(0, vec![readings("silent", 0, 1), moment("silent", 0, false)])]).unwrap();
    let held = reader.subject("silent").unwrap();
    for nth in 1..100 {
        view.apply(&[batch(nth, vec![readings("busy", nth, 1)])]).unwrap();
        assert!(reader.subject("busy").unwrap().history().count() <= 6);
    }
    assert!(reader.subject("silent").is_none(), "what is silent is forgotten too");
    assert_eq!(held.history().count(), 1, "who holds a snapshot keeps it");
}

/// A reader learns that a row which it knew was withdrawn.
#[test]
fn goes_on_from_a_time_with_each_row_once_and_what_was_withdrawn() {
    let mut view = view(Duration::from_secs(200));
    let reader = view.reader();
    assert_eq!(reader.changes_since("a", time(0)), None, "nothing is known yet");
    view.apply(&[batch(0, vec![readings("a", 0, 1)]), batch(1, vec![readings("a", 1, 2)])]).unwrap();
    view.apply(&[batch(2, vec![moment("a", 1, true)])]).unwrap();
    let corrected = Change { revision: 1, ..readings("a", 0, 7) };
    let untrue = Change { revision: 1, action: Action::Withdraw, ..moment("a", 1, true) };
    view.apply(&[batch(3, vec![corrected.clone(), readings("a", 2, 3)])]).unwrap();
    view.apply(&[batch(4, vec![untrue.clone()])]).unwrap();

    let changes = |since| reader.changes_since("a", since).unwrap();
    let since = changes(time(1));
    assert_eq!(since.iter().map(|update| update.time).collect::<Vec<_>>(), [time(3), time(4)]);
    assert_eq!(since[0].changes, [corrected, readings("a", 2, 3)], "each row once, with its revision");
    assert_eq!(since[1].changes, [untrue]);
    assert!(changes(time(4)).is_empty(), "who is in step is notified of nothing");
    assert_eq!(reader.changes_since("a", time(0).minus(1)), None, "the view was not there yet");
    assert_eq!(reader.changes_since("a", time(5)), None, "the view has not come that far");
    assert_eq!(reader.changes_since("b", time(2)), Some(Vec::new()));

    // It turned out to be true after all: nobody need be notified that it was not.
    let again = Change { revision: 2, ..moment("a", 1, true) };
    view.apply(&[batch(5, vec![again.clone()])]).unwrap();
    assert_eq!(changes(time(3)).iter().flat_map(|update| &update.changes).collect::<Vec<_>>(), [&again]);
    view.apply(&[batch(40, vec![readings("b", 40, 1)])]).unwrap();
    assert_eq!(reader.known_since(), Some(time(40).minus(200_000)));
    assert_eq!(reader.changes_since("a", time(5)), None, "that is beyond the horizon");
}

/// Each batch sets two windows of each device to the same number; a reader that saw a batch in part would see
/// two.
#[test]
fn readers_see_each_time_whole() {
    let mut view = view(HOUR);
    let stop = Arc::new(AtomicBool::new(false));
    let devices: Vec<String> = (0..50).map(|i| format!("s{i}")).collect();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (reader, stop, devices) = (view.reader(), Arc::clone(&stop), devices.clone());
            thread::spawn(move || {
                let mut seen = 0;
                while !stop.load(Ordering::Relaxed) {
                    let as_of = reader.as_of();
                    for device in &devices {
                        let Some(view) = reader.subject(device) else {
                            assert!(as_of.is_none());
                            continue;
                        };
                        let values: Vec<u64> = view.history().map(|(_, readings)| readings.count).collect();
                        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
                        assert!(Some(view.updated()) >= as_of, "a device is behind `as_of`");
                        seen = seen.max(values[0]);
                    }
                }
                seen
            })
        })
        .collect();
    for nth in 0..200 {
        let changes = devices.iter().flat_map(|s| [0, 1].map(|w| readings(s, w, nth))).collect();
        view.apply(&[batch(nth, changes)]).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() < 200);
    }
}

#[test]
fn keeps_the_contract() {
    // What a window of the suite holds.
    type Suite = (u64, Option<i64>, Vec<String>);
    let readers: RefCell<BTreeMap<u32, LiveReader<Suite>>> = Default::default();
    let held = |row: &dyn AnyRow, revision: u32| {
        let key = RowKey::of(row);
        let part = |part: &KeyPart| match part {
            KeyPart::Time(time) => time.0.to_string(),
            KeyPart::BeforeEpoch(time) => time.0.to_string(),
            part => part.to_string(),
        };
        let parts: Vec<_> = key.parts().iter().map(part).collect();
        HeldRow { table: key.table().into(), key: parts.join("/"), contents: format!("{revision} {row:?}") }
    };
    sink_compliance(
        &["devices", "device_minute", "moments"],
        |n| {
            let view = LiveView::new(HOUR);
            readers.borrow_mut().insert(n, view.reader());
            Box::new(view)
        },
        |n| {
            let reader = &readers.borrow()[&n];
            let mut rows = Vec::new();
            for (subject, _) in reader.subjects() {
                let view = reader.subject(&subject).unwrap();
                rows.extend(view.rows().map(|known| held(&*known.row, known.revision)));
                rows.extend(view.published_windows().map(|known| HeldRow {
                    table: "device_minute".into(),
                    key: format!("{subject}/{}", known.row.window.start.0),
                    contents: format!("{known:?}"),
                }));
                rows.extend(view.published_moments().map(|known| HeldRow {
                    table: "moments".into(),
                    key: known.row.id().to_string(),
                    contents: format!("{known:?}"),
                }));
            }
            rows
        },
    );
}
