//! The tables of live streams, and what their rows hold.

use proptest::prelude::*;
use telemetra::core::testkit::row_compliance;
use telemetra::core::{
    Counted, Data, EventTime, Layout, Micro, Moment, Row, Summary, SummaryRow, Window, json,
};
use telemetra::livestream::{
    Currency, Header, MetaType, StreamId, StreamPatch, StreamProfile, StreamRow, StreamSummary,
    TransactionRow, Version, ViewerRow, moment_layout, summary_layout,
};

use crate::events::of_each_kind;

const START: EventTime = EventTime(1_767_225_540_000);
const HEADER: Header<'_> = Header { event_id: "e1", time: START, stream_id: "s1" };

fn names<R: Data>(layout: &Layout<R>) -> Vec<String> {
    layout.table().all_columns().iter().map(|column| column.name.to_string()).collect()
}

/// The values of a row as JSON.
fn values<R: Data>(layout: &Layout<R>, row: &R) -> Vec<String> {
    let mut values = Vec::new();
    layout.values(row, &mut |value| {
        let mut text = String::new();
        json::value(&mut text, value).unwrap();
        values.push(text);
    });
    values
}

/// Name, columns and condition of each index.
fn indexes<R: Data>(layout: &Layout<R>) -> Vec<String> {
    let of = |index: &telemetra::core::Index| {
        let only = index.only.as_deref().map(|only| format!(" where {only}")).unwrap_or_default();
        format!("{} ({}){only}", index.name, index.columns.join(", "))
    };
    layout.table().indexes().iter().map(of).collect()
}

fn key_and_day<R: Data>(layout: &Layout<R>) -> (usize, Option<&str>) {
    (layout.table().keys().len(), layout.table().day_column().map(|column| &*column.name))
}

#[test]
fn viewer_counts_are_rows() {
    let layout = Layout::<ViewerRow>::of_row();
    assert_eq!(layout.table().name(), "viewer_timeseries");
    let expected = ["event_id", "stream_id", "timestamp", "viewer_count", "unique_viewers", "peak_viewers"];
    assert_eq!(names(&layout), expected);
    assert_eq!(key_and_day(&layout), (1, Some("timestamp")));
    assert_eq!(indexes(&layout), ["viewers_by_stream (stream_id, timestamp)"]);
    let rows: Vec<ViewerRow> = of_each_kind(HEADER).iter().filter_map(ViewerRow::of).collect();
    assert_eq!(rows.len(), 1);
    let time = format!("\"{START}\"");
    assert_eq!(values(&layout, &rows[0]), ["\"e1\"", "\"s1\"", &time, "42", "null", "60"]);
    assert_eq!((rows[0].time(), &*rows[0].subject()), (Some(START), "e1"));
    let moved = ViewerRow { stream_id: StreamId::new("s2"), ..rows[0].clone() };
    let other = ViewerRow { event_id: "e2".into(), unique_viewers: Some(u64::MAX), ..rows[0].clone() };
    row_compliance(&layout, &[rows[0].clone(), moved, other]);
}

#[test]
fn transactions_are_rows() {
    let layout = Layout::<TransactionRow>::of_row();
    assert_eq!(layout.table().name(), "transactions");
    let expected = [
        "transaction_id",
        "stream_id",
        "user_id",
        "amount",
        "currency",
        "transaction_type",
        "message",
        "timestamp",
    ];
    assert_eq!(names(&layout), expected);
    assert_eq!(key_and_day(&layout), (1, Some("timestamp")));
    assert_eq!(indexes(&layout), ["transactions_by_stream (stream_id, timestamp)"]);
    let rows: Vec<TransactionRow> = of_each_kind(HEADER).iter().filter_map(TransactionRow::of).collect();
    assert_eq!(rows.len(), 1);
    let time = format!("\"{START}\"");
    let expected =
        ["\"e1\"", "\"s1\"", "\"u1\"", "\"12.50\"", "\"EUR\"", "\"donation\"", "\"keep going\"", &time];
    assert_eq!(values(&layout, &rows[0]), expected);
    assert_eq!((rows[0].time(), &*rows[0].subject()), (Some(START), "e1"));
    let moved = TransactionRow { stream_id: StreamId::new("s2"), message: None, ..rows[0].clone() };
    let other = TransactionRow { transaction_id: "t2".into(), amount: i64::MAX, ..rows[0].clone() };
    row_compliance(&layout, &[rows[0].clone(), moved, other]);
}

#[test]
fn streams_are_rows() {
    let layout = Layout::<StreamRow>::of_row();
    assert_eq!(layout.table().name(), "streams");
    let expected = [
        "stream_id",
        "name",
        "title",
        "category",
        "is_live",
        "started_at",
        "ended_at",
        "created_at",
        "updated_at",
    ];
    assert_eq!(names(&layout), expected);
    assert_eq!(key_and_day(&layout), (1, None), "a stream is about now");
    assert_eq!(layout.table().published_at_column(), None, "the time of an update is a value of the row");
    assert_eq!(indexes(&layout), ["streams_live (stream_id) where is_live"]);
    let patches: Vec<StreamPatch> = of_each_kind(HEADER).iter().filter_map(StreamPatch::of).collect();
    assert_eq!(patches.len(), 1);
    let mut profile = StreamProfile::default();
    let untold = profile.row(&"s2".into());
    profile.apply(&patches[0]);
    let row = profile.row(&patches[0].stream_id);
    let time = format!("\"{START}\"");
    let expected = ["\"s1\"", "\"s1\"", "\"new\"", "null", "null", "null", "null", &time, &time];
    assert_eq!(values(&layout, &row), expected);
    let live = StreamRow { is_live: Some(true), started_at: Some(START), ..row.clone() };
    row_compliance(&layout, &[row, live, untold]);
}

#[test]
fn summaries_are_rows_by_stream_and_window() {
    let layout = summary_layout();
    assert_eq!(layout.table().name(), "chat_summary_minute");
    let expected = [
        "stream_id",
        "window_start",
        "window_end",
        "chat_count",
        "chat_rate",
        "unique_chatters",
        "positive_count",
        "negative_count",
        "sentiment_score",
        "top_emotes",
        "avg_viewers",
        "peak_viewers",
        "viewer_events",
        "transaction_count",
        "transaction_amount",
        "revision",
        "updated_at",
    ];
    assert_eq!(names(&layout), expected);
    assert_eq!(key_and_day(&layout), (2, Some("window_start")));
    assert_eq!(indexes(&layout), ["summaries_by_stream (stream_id, window_start)"]);
    let mut summary = StreamSummary {
        chat_count: 90,
        unique_chatters: 30,
        positive_count: 20,
        negative_count: 10,
        sentiment_sum: 90 * 2_500,
        top_emotes: vec![
            Counted { name: "Kappa\"".into(), count: 3 },
            Counted { name: "LUL".into(), count: 1 },
        ],
        viewer_sum: 301,
        viewer_events: 2,
        peak_viewers: Some(200),
        transaction_count: 2,
        ..StreamSummary::default()
    };
    summary.transaction_amount[Currency::Eur as usize] = 12_500_000;
    summary.transaction_amount[Currency::Bits as usize] = 100_000_000;
    let row = |stream: &str, nth: u64, value: &StreamSummary| {
        let start = START.plus(10_000 * nth);
        let window = Window { start: start.into(), end: start.plus(60_000) };
        SummaryRow { key: StreamId::new(stream), summary: Summary { window, value: value.clone().into() } }
    };
    let expected = [
        "90",
        "1.5",
        "30",
        "20",
        "10",
        "0.25",
        r#"[{"name":"Kappa\"","count":3},{"name":"LUL","count":1}]"#,
        "150.5",
        "200",
        "2",
        "2",
        r#"{"EUR":"12.50","bits":"100.00"}"#,
    ];
    assert_eq!(values(&layout, &row("s1", 0, &summary))[3..15], expected);
    let silent = StreamSummary::default();
    let expected = ["0", "0", "0", "0", "0", "null", "[]", "null", "null", "0", "0", "{}"];
    assert_eq!(values(&layout, &row("s1", 0, &silent))[3..15], expected);
    let rows = [row("s1", 0, &summary), row("s1", 0, &silent), row("s1", 1, &silent), row("s2", 0, &summary)];
    row_compliance(&layout, &rows);
}

#[test]
fn moments_are_rows() {
    let layout = moment_layout();
    assert_eq!(layout.table().name(), "moments");
    let expected = [
        "moment_id",
        "stream_id",
        "moment_type",
        "detection_method",
        "started_at",
        "peak_at",
        "ended_at",
        "value",
        "threshold",
        "score",
        "baseline_mean",
        "baseline_stddev",
        "baseline_samples",
        "chance",
        "revision",
        "context",
        "updated_at",
    ];
    assert_eq!(names(&layout), expected);
    assert_eq!(key_and_day(&layout), (1, None));
    let expected = [
        "moments_by_stream (stream_id, started_at)",
        "moments_by_time (started_at)",
        "moments_by_type (moment_type, started_at)",
        "moments_open (started_at) where ended_at IS NULL",
    ];
    assert_eq!(indexes(&layout), expected);
    let moment = |stream: &str, open: bool| Moment {
        key: StreamId::new(stream),
        moment_type: "chat_spike".into(),
        started_at: START,
        peak_at: START.plus(10_000),
        last_at: START.plus(20_000),
        open,
        detection_method: "zscore".into(),
        value: Micro(42_000_000),
        threshold: Micro(3_000_000),
        score: Micro(4_500_000),
        baseline_mean: Micro(10_000_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows: 2,
        comparable: true,
        chance: Some(Micro(250_000)),
        carried: std::sync::Arc::default(),
    };
    row_compliance(&layout, &[moment("s1", true), moment("s1", false), moment("s2", true)]);
}

fn patch() -> impl Strategy<Value = StreamPatch> {
    let time = || (0..6_u64).prop_map(EventTime);
    let text = || proptest::option::of("[ab]".prop_map(|text: String| text.into_boxed_str()));
    let event_type = prop::sample::select(MetaType::ALL);
    let times = (proptest::option::of(time()), proptest::option::of(time()));
    (time(), event_type, text(), text(), times).prop_map(
        |(time, event_type, new_title, new_category, (started_at, ended_at))| StreamPatch {
            stream_id: "s1".into(),
            version: Version { time, event: 0 },
            event_type,
            new_title,
            new_category,
            started_at,
            ended_at,
        },
    )
}

proptest! {
    #[test]
    fn a_profile_does_not_depend_on_the_order_of_what_is_told(
        patches in prop::collection::vec(patch(), 0..8),
        shuffled in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut patches = patches;
        for (number, patch) in patches.iter_mut().enumerate() {
            patch.version.event = number as u128;
        }
        let mut in_order = StreamProfile::default();
        patches.iter().for_each(|patch| in_order.apply(patch));
        let mut again = StreamProfile::default();
        // Some twice, then all of them backwards.
        if !patches.is_empty() {
            shuffled.iter().for_each(|index| again.apply(index.get(&patches)));
        }
        patches.iter().rev().for_each(|patch| again.apply(patch));
        prop_assert_eq!(again, in_order);
    }
}
