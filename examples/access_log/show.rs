//! The printed tables.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use comfy_table::{CellAlignment, Table, presets};
use telemetra::core::Fate;
use telemetra::prelude::*;

use crate::{Hour, Minute, Visit};

/// The gap of sessions in milliseconds.
const GAP: u64 = crate::GAP.as_secs() * 1000;

/// Prints all results, with at most this many rows of each table.
pub(crate) fn all(tables: &MemorySink, report: &Report, rows: usize) -> String {
    let fates = report.fates;
    let mut text = format!("{} lines; {} counted", fates.read, fates.on_time + fates.late_applied);
    for fate in Fate::ALL.into_iter().filter(|fate| *fate != Fate::OnTime && fates.of(*fate) > 0) {
        let _ = write!(text, ", {} {}", fates.of(fate), fate.as_str().replace('_', " "));
    }
    text.push('\n');
    text += &letters(tables);
    for (title, table) in [
        ("The busiest minutes of each site; latencies in milliseconds", minutes(tables, rows)),
        ("Failures that are unusual for a site", moments(tables, rows)),
        ("The paths of each hour", hours(tables, rows)),
        ("The visits with the most requests", visits(tables, rows)),
    ] {
        if table.row_count() > 0 {
            let _ = write!(text, "\n{title}\n\n{table}\n");
        }
    }
    text
}

/// The reasons why lines were not counted, with an example of each.
fn letters(tables: &MemorySink) -> String {
    let mut by_reason: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for letter in tables.dead_letters().into_iter().filter(|letter| letter.fate == Fate::Malformed) {
        let example = || String::from_utf8_lossy(&letter.bytes).chars().take(70).collect();
        by_reason.entry(letter.reason.to_string()).or_insert_with(|| (0, example())).0 += 1;
    }
    let mut text = String::new();
    for (reason, (number, example)) in by_reason {
        let lines = if number == 1 { "line that was" } else { "lines that were" };
        let _ = writeln!(text, "{number} {lines} not read: {reason}, such as `{}`", example.escape_debug());
    }
    text
}

/// An empty table; after the first `texts` columns, the columns are numbers.
fn table<const N: usize>(header: [&str; N], texts: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table.column_iter_mut().skip(texts).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
}

fn minutes(tables: &MemorySink, rows: usize) -> Table {
    let header = ["site", "minute", "requests", "2xx", "3xx", "4xx", "5xx", "MB", "p50", "p90", "p99"];
    let mut table = table(header, 2);
    let minutes = tables.rows_of::<Minute>();
    let sites = minutes.chunk_by(|one, other| one.key == other.key).count();
    for site in minutes.chunk_by(|one, other| one.key == other.key) {
        // The same number of rows of each site, in the order of time.
        let mut busiest: Vec<&Minute> = site.iter().collect();
        busiest.sort_by_key(|row| std::cmp::Reverse(row.summary.value.0));
        busiest.truncate(rows.div_ceil(sites));
        busiest.sort_by_key(|row| row.summary.window.start);
        for Minute { key, summary } in busiest {
            let (requests, ok, moved, refused, failed, bytes, latency) = &*summary.value;
            let mut cells = vec![key.clone(), minute(summary.window.start.or_epoch())];
            cells.extend([requests, ok, moved, refused, failed].map(u64::to_string));
            cells.push(format!("{:.2}", *bytes as f64 / 1e6));
            cells.extend([0.5, 0.9, 0.99].map(|fraction| {
                let millis = latency.quantile(fraction).map(|units| Micro(units).to_f64());
                millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.1}"))
            }));
            table.add_row(cells);
        }
    }
    table
}

fn moments(tables: &MemorySink, rows: usize) -> Table {
    let mut table = table(["site", "from", "to", "failures a minute", "usual"], 3);
    for moment in tables.rows_of::<Moment<String>>().into_iter().take(rows) {
        let end = moment.ended_at().map_or_else(|| "now".to_owned(), minute);
        let (value, usual) = (moment.value.to_f64(), moment.baseline_mean.to_f64());
        table.add_row([
            moment.key.clone(),
            minute(moment.started_at),
            end,
            value.to_string(),
            format!("{usual:.2}"),
        ]);
    }
    table
}

fn hours(tables: &MemorySink, rows: usize) -> Table {
    let mut table = table(["site", "hour", "requests", "visitors", "paths"], 2);
    if let Some(paths) = table.column_mut(4) {
        paths.set_cell_alignment(CellAlignment::Left);
    }
    for Hour { key, summary } in tables.rows_of::<Hour>().into_iter().take(rows) {
        let (requests, visitors, paths) = &*summary.value;
        let paths: Vec<_> = paths.iter().map(|path| format!("{} {}", path.name, path.count)).collect();
        let cells: [&dyn Display; 5] =
            [&key, &minute(summary.window.start.or_epoch()), requests, visitors, &paths.join(", ")];
        table.add_row(cells.map(ToString::to_string));
    }
    table
}

fn visits(tables: &MemorySink, rows: usize) -> Table {
    let mut table = table(["site", "visitor", "from", "minutes", "requests", "pages", "MB"], 3);
    let mut visits = tables.rows_of::<Visit>();
    visits.sort_by_key(|visit| std::cmp::Reverse(visit.summary.value.0));
    for Visit { key: (site, visitor), summary } in visits.into_iter().take(rows) {
        let (requests, pages, bytes) = &*summary.value;
        // A session ends a gap after its last event.
        let length = (summary.window.end - summary.window.start).saturating_sub(GAP) / 60_000;
        let cells: [&dyn Display; 7] = [
            &site,
            &visitor,
            &minute(summary.window.start.or_epoch()),
            &length,
            requests,
            pages,
            &format!("{:.2}", *bytes as f64 / 1e6),
        ];
        table.add_row(cells.map(ToString::to_string));
    }
    table
}

/// A time, to the minute.
fn minute(time: EventTime) -> String {
    time.to_string()[..16].replace('T', " ")
}
