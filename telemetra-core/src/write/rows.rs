//! The rows that groupings publish: summaries of windows, moments, and places on leaderboards.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::leaderboard::Ranked;
use crate::aggregate::panes::Summary;
use crate::column::{Column, ColumnKind, Value};
use crate::data::Data;
use crate::detect::explain::CarriedJson;
use crate::detect::moment::Moment;
use crate::key::Key;
use crate::time::window::Window;
use crate::write::layout::Layout;
use crate::write::table::{Shape, Table};

/// A row of a grouping's table: the summary of one key in one window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SummaryRow<K: Key, S: Data> {
    /// The key.
    pub key: K,
    /// The window and its aggregate.
    pub summary: Summary<S>,
}

/// The key columns of a grouping, with these names and the kinds of `K`.
fn key_columns<K: Key>(names: &[&'static str]) -> Vec<Column> {
    K::KINDS.iter().zip(names).map(|(kind, name)| Column::new(name, *kind)).collect()
}

impl<K: Key, S: Data> Layout<SummaryRow<K, S>> {
    /// The layout of a grouping's summaries. The columns are key columns with these names, `window_start`,
    /// `window_end`, the given `columns`, for which `values` puts the values, `revision` and `updated_at`.
    /// The key consists of the key columns and `window_start`.
    ///
    /// ```
    /// use telemetra_core::{Column, ColumnKind, Layout, SummaryRow, Value};
    /// let columns = vec![Column::new("readings", ColumnKind::Integer)];
    /// let layout = Layout::<SummaryRow<String, u64>>::summaries("device_minute", &["device"], columns, |readings, _, put| {
    ///     put(Value::Unsigned(*readings));
    /// });
    /// let names: Vec<_> = layout.table().all_columns().iter().map(|column| &*column.name).collect();
    /// assert_eq!(names, ["device", "window_start", "window_end", "readings", "revision", "updated_at"]);
    /// ```
    pub fn summaries(
        table: impl Into<Cow<'static, str>>,
        key: &[&'static str],
        columns: Vec<Column>,
        values: impl Fn(&S, Window, &mut dyn FnMut(Value<'_>)) + Send + Sync + 'static,
    ) -> Self {
        let mut table = Table::new(table);
        for column in key_columns::<K>(key) {
            table = table.key(column);
        }
        let table = table
            .key(Column::new("window_start", ColumnKind::Time))
            .column(Column::new("window_end", ColumnKind::Time))
            .columns(columns)
            .revision("revision")
            .published_at("updated_at")
            .by_day("window_start")
            .shape(Shape::Windows);
        Self::with(
            table,
            move |row: &SummaryRow<K, S>, put: &mut dyn FnMut(Value<'_>)| {
                row.key.values(put);
                put(row.summary.window.start.into());
                put(Value::Time(row.summary.window.end));
                values(&row.summary.value, row.summary.window, put);
                put(Value::Revision);
                put(Value::PublishedAt);
            },
            |row| Some(row.summary.window.end),
            |row| row.key.text(),
            Some(|one, other| {
                one.key
                    .cmp(&other.key)
                    .then_with(|| one.summary.window.start.cmp(&other.summary.window.start))
            }),
        )
    }
}

impl<K: Key> Layout<Moment<K>> {
    /// The layout of a grouping's moments, in which the key columns have these names. The key is `moment_id`.
    pub fn moments(table: impl Into<Cow<'static, str>>, key: &[&'static str]) -> Self {
        let float = |name| Column::new(name, ColumnKind::Float);
        let time = |name| Column::new(name, ColumnKind::Time);
        let text = |name| Column::new(name, ColumnKind::Text);
        let table = Table::new(table)
            .key(text("moment_id"))
            .columns(key_columns::<K>(key))
            .columns([text("moment_type"), text("detection_method"), time("started_at"), time("peak_at")])
            .column(Column::nullable("ended_at", ColumnKind::Time))
            .columns([float("value"), float("threshold"), float("score"), float("baseline_mean")])
            .columns([float("baseline_stddev"), Column::new("baseline_samples", ColumnKind::Integer)])
            .column(Column::nullable("chance", ColumnKind::Float))
            .revision("revision")
            .column(Column::new("context", ColumnKind::Json))
            .published_at("updated_at")
            .shape(Shape::Moments);
        Self::with(
            table,
            |moment: &Moment<K>, put: &mut dyn FnMut(Value<'_>)| moment_values(moment, put),
            // An open moment describes the present.
            |moment| moment.ended_at(),
            |moment| moment.key.text(),
            Some(|one, other| {
                let key = |moment: &Moment<K>| (moment.started_at, Arc::clone(&moment.moment_type));
                one.key.cmp(&other.key).then_with(|| key(one).cmp(&key(other)))
            }),
        )
    }
}

impl<K: Key> Layout<Ranked<K>> {
    /// The layout of leaderboards: a table of places, in which the key columns have these names. The key is
    /// `board` and `rank`; `value` is in the units of the board's metric.
    ///
    /// ```
    /// use telemetra_core::{Layout, Ranked, testkit::row_compliance};
    /// let layout = Layout::<Ranked<String>>::ranked("leaderboards", &["device"]);
    /// let place = |rank, key: &str, value| Ranked { board: "busiest".into(), rank, key: key.to_owned(), value };
    /// row_compliance(&layout, &[place(1, "d1", 7), place(1, "d2", 9), place(2, "d1", 7)]);
    /// ```
    pub fn ranked(table: impl Into<Cow<'static, str>>, key: &[&'static str]) -> Self {
        let table = Table::new(table)
            .key(Column::new("board", ColumnKind::Text))
            .key(Column::new("rank", ColumnKind::Integer))
            .columns(key_columns::<K>(key))
            .column(Column::new("value", ColumnKind::Integer))
            .revision("revision")
            .published_at("updated_at");
        Self::new(table, |place: &Ranked<K>, put: &mut dyn FnMut(Value<'_>)| {
            put(Value::Text(&place.board));
            put(Value::Unsigned(place.rank.into()));
            place.key.values(put);
            put(Value::Signed(place.value));
            put(Value::Revision);
            put(Value::PublishedAt);
        })
    }
}

fn moment_values<K: Key>(moment: &Moment<K>, put: &mut dyn FnMut(Value<'_>)) {
    put(Value::Shown(&moment.id()));
    moment.key.values(put);
    put(Value::Text(&moment.moment_type));
    put(Value::Text(&moment.detection_method));
    put(Value::Time(moment.started_at));
    put(Value::Time(moment.peak_at));
    put(Value::or_null(moment.ended_at().map(Value::Time)));
    for micro in [moment.value, moment.threshold, moment.score, moment.baseline_mean, moment.baseline_stddev]
    {
        put(Value::Float(micro.to_f64()));
    }
    put(Value::Unsigned(u64::from(moment.baseline_samples)));
    put(Value::or_null(moment.chance.map(|chance| Value::Float(chance.to_f64()))));
    put(Value::Revision);
    put(Value::Json(&Context(moment)));
    put(Value::PublishedAt);
}

/// The column `context` of a moment: the number of its windows, its duration, its side, and what carried it.
struct Context<'a, K: Key>(&'a Moment<K>);

impl<K: Key> fmt::Display for Context<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { windows, last_at, started_at, score, carried, .. } = self.0;
        let side = if score.0 < 0 { "below" } else { "above" };
        write!(f, "{{\"windows\":{windows},\"duration_ms\":{},\"side\":\"{side}\"", *last_at - *started_at)?;
        if !carried.is_empty() {
            write!(f, ",\"carried\":{}", CarriedJson(carried))?;
        }
        f.write_str("}")
    }
}
