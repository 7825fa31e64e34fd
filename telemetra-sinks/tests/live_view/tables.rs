//! The rows that a view keeps, where a pipeline has several groupings and tables.

use telemetra_core::{Column, ColumnKind, Layout, Moment, Retry, Summary, SummaryRow, Value, Window};
use telemetra_sinks::Notice;

use super::common::{Alert, Device, alert, device, moment_by, readings_in, readings_row};
use super::*;

/// Rows about now stay until they are withdrawn; those of a time are passed on, and leave nothing behind.
#[test]
fn rows_of_other_types_are_kept_if_they_are_about_now() {
    let mut view = view(Duration::from_secs(100));
    let reader = view.reader();
    let all = reader.subscribe(64);
    let (devices, alerts) = (Layout::<Device>::of_row(), Layout::<Alert>::of_row());
    let label = |label| device("d1", Some(label), -1);
    view.apply(&[batch(0, vec![devices.upsert(label("first"), 0), alerts.upsert(alert("d2", 0, 3), 0)])])
        .unwrap();
    assert_eq!(reader.subjects(), [("d1".into(), time(0))], "an alert makes no subject");
    view.apply(&[batch(1, vec![devices.upsert(label("second"), 1), alerts.upsert(alert("d1", 0, 3), 0)])])
        .unwrap();
    let held = reader.subject("d1").unwrap();
    assert_eq!(held.row::<Device>(), Some(&label("second")));
    assert_eq!((held.row::<Alert>(), held.rows().count(), held.key()), (None, 1, None));
    let published = held.rows().next().unwrap();
    assert_eq!((published.revision, published.time), (1, time(1)));
    let told = std::iter::from_fn(|| all.try_recv().unwrap());
    let told: Vec<_> = told
        .map(|notice| match notice {
            Notice::Changed(update) => (update.subject.to_string(), update.changes.len()),
            missed => panic!("{missed:?}"),
        })
        .collect();
    assert_eq!(told, [("d1".into(), 1), ("d2".into(), 1), ("d1".into(), 2)]);
    // However long it does not change.
    for nth in 2..200 {
        view.apply(&[batch(nth, vec![])]).unwrap();
    }
    assert_eq!(reader.subject("d1").unwrap().row::<Device>(), Some(&label("second")));
    let gone = devices.withdraw(label("second"), 2);
    view.apply(&[batch(200, vec![gone.clone(), alerts.upsert(alert("d1", 200, 4), 0)])]).unwrap();
    assert_eq!(reader.subject("d1").unwrap().row::<Device>(), None);
    let changes = reader.changes_since("d1", time(199)).unwrap();
    assert_eq!(changes.iter().flat_map(|update| &update.changes).collect::<Vec<_>>(), [&gone]);
    for nth in 201..300 {
        view.apply(&[batch(nth, vec![])]).unwrap();
    }
    assert!(reader.subjects().is_empty(), "there is nothing left of it");
}

/// Rows of a time are kept like windows if that is asked for: within the horizon, with what was withdrawn.
#[test]
fn rows_of_a_time_are_kept_within_the_horizon_if_that_is_asked_for() {
    let mut view = view(Duration::from_secs(100)).timed_rows();
    let reader = view.reader();
    let alerts = Layout::<Alert>::of_row();
    let (first, second) = (alert("d1", 0, 3), alert("d1", 1, 3));
    assert!(reader.keeps(&*alerts.erase(first.clone())));
    view.apply(&[batch(0, vec![alerts.upsert(first.clone(), 0)])]).unwrap();
    view.apply(&[batch(1, vec![alerts.upsert(second.clone(), 0)])]).unwrap();
    let rows = || {
        let held = reader.subject("d1").map(|view| view.all().cloned().collect::<Vec<_>>());
        held.unwrap_or_default()
            .iter()
            .map(|held| (held.row.time().unwrap(), held.revision))
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(), [(time(0).plus(1), 0), (time(1).plus(1), 0)]);
    view.apply(&[batch(2, vec![alerts.upsert(first.clone(), 1), alerts.withdraw(second, 1)])]).unwrap();
    assert_eq!(rows(), [(time(0).plus(1), 1)]);
    let since = reader.changes_since("d1", time(1)).unwrap();
    assert_eq!(
        since.iter().map(|update| update.changes.len()).collect::<Vec<_>>(),
        [2],
        "one of them withdrawn"
    );
    // Past the horizon, also where nothing changes.
    for nth in 3..250 {
        view.apply(&[batch(nth, vec![])]).unwrap();
    }
    assert!(reader.subjects().is_empty());
}

/// The tables whose rows are taken are known once the view is opened.
#[test]
fn a_view_knows_its_tables() {
    let mut view = LiveView::<Readings>::new(HOUR).only(["alerts"]);
    let reader = view.reader();
    assert!(reader.tables().is_empty());
    view.open(&all_tables(), None).unwrap();
    assert_eq!(reader.tables().iter().map(|table| table.name()).collect::<Vec<_>>(), ["alerts"]);
}

/// A view for each grouping, whatever its keys are.
#[test]
fn each_grouping_has_a_view() {
    type Row = SummaryRow<(u32, bool), u64>;
    let columns = vec![Column::new("total", ColumnKind::Integer)];
    let totals = Layout::<Row>::summaries("site_minute", &["site", "inside"], columns, |total, _, put| {
        put(Value::Unsigned(*total));
    });
    let site_moments = Layout::<Moment<(u32, bool)>>::moments("site_moments", &["site", "inside"]);
    let mut tables = all_tables();
    tables.extend([Arc::clone(totals.table()), Arc::clone(site_moments.table())]);
    let (mut devices, mut sites) = (view(HOUR), LiveView::<u64, (u32, bool)>::new(HOUR));
    sites.open(&tables, None).unwrap();
    devices.open(&tables, None).unwrap();
    let total = Summary { window: window(0), value: 9.into() };
    let site_moment = moment_by((7, true), 0, 1, true);
    let changes = vec![
        readings("d1", 0, 3),
        moment("d1", 0, true),
        totals.upsert(SummaryRow { key: (7, true), summary: total }, 0),
        site_moments.upsert(site_moment.clone(), 0),
    ];
    let batch = [batch(0, changes)];
    devices.apply(&batch).unwrap();
    sites.apply(&batch).unwrap();
    assert_eq!(
        devices.reader().subjects().len(),
        1,
        "windows and moments of other groupings are other views'"
    );
    assert_eq!(devices.reader().open_moments(), [moment_of("d1", 0, 1, true)]);
    let reader = sites.reader();
    assert_eq!(reader.subjects(), [("7\u{1f}true".into(), time(0))], "a subject is the text of a key");
    let (subject, held) = reader.subjects_by(|view| view.latest().map(|(_, total)| **total)).remove(0);
    assert_eq!((held.key(), *reader.latest(&subject).unwrap().1), (Some(&(7, true)), 9));
    assert_eq!(reader.open_moments(), [site_moment]);
}

#[test]
fn windows_of_two_tables_are_not_taken_for_one_another() {
    let hour = |count| {
        let row = readings_row("d1", 0, Readings { count, ..Readings::default() });
        readings_in("device_hour").upsert(row, 0)
    };
    let mut tables = all_tables();
    tables.push(Arc::clone(readings_in("device_hour").table()));
    let changes = || vec![readings("d1", 0, 1), hour(60)];
    let mut both = view(HOUR);
    both.open(&tables, None).unwrap();
    let error = both.apply(&[batch(0, changes())]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    let text = error.to_string();
    assert!(
        text.contains("`device_minute` and `device_hour`") && text.contains("`LiveView::only`"),
        "{text}"
    );
    let mut hours = LiveView::<Readings>::new(HOUR).only(["device_hour", "devices"]);
    hours.open(&tables, None).unwrap();
    let all = hours.reader().subscribe(8);
    hours.apply(&[batch(0, changes()), batch(1, vec![moment("d1", 1, true)])]).unwrap();
    assert_eq!(hours.reader().latest("d1").unwrap().1.count, 60);
    assert!(hours.reader().open_moments().is_empty());
    assert!(matches!(all.try_recv(), Ok(Some(Notice::Changed(update))) if update.changes == [hour(60)]));
    assert_eq!(all.try_recv(), Ok(None), "of other tables nobody is told");
    let unknown =
        LiveView::<Readings>::new(HOUR).only(["hours"]).open(&tables, None).unwrap_err().to_string();
    assert!(unknown.contains("no table `hours`") && unknown.contains("`device_hour`"), "{unknown}");
}

/// A late reading makes a session longer: it is the same row, by its start.
#[test]
fn a_session_that_grows_is_one_window() {
    let mut view = view(HOUR);
    let session = |start: u64, end: u64, count| {
        let mut row = readings_row("d1", 0, Readings { count, ..Readings::default() });
        let epoch = window(0).start.or_epoch();
        row.summary.window = Window { start: epoch.plus(start).into(), end: epoch.plus(end) };
        row
    };
    let layout = readings_in("device_minute");
    let apart = [session(0, 10_000, 1), session(20_000, 30_000, 2)].map(|row| layout.upsert(row, 0));
    view.apply(&[batch(0, apart.into())]).unwrap();
    let joined = [layout.upsert(session(0, 30_000, 4), 1), layout.withdraw(session(20_000, 30_000, 2), 1)];
    view.apply(&[batch(1, joined.clone().into())]).unwrap();
    let held = view.reader().subject("d1").unwrap();
    assert_eq!(held.history().map(|(_, readings)| readings.count).collect::<Vec<_>>(), [4]);
    assert_eq!(view.reader().changes_since("d1", time(0)).unwrap()[0].changes, joined);
}
