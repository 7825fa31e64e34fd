//! Tests that the tables equal a batch computation over the same lines, and that the printed output is
//! readable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use telemetra::core::{Accumulate, Arena, Counted, Fate, Quantiles};

use super::*;
use crate::line::Access;

/// The tables that a pipeline makes of the lines.
fn tables_of(lines: &[String], workers: usize) -> Result<(MemorySink, Report)> {
    let tables = MemorySink::new();
    let source = MemorySource::default().partition("log", lines.to_vec());
    let report = start(source, tables.clone(), workers)?.wait()?;
    Ok((tables, report))
}

/// The events of the lines that count, decoded one after another without reordering.
fn read(lines: &[String], left_out: &BTreeSet<u64>) -> Vec<Access<'static>> {
    let (arena, mut all) = (Box::leak(Box::new(Arena::default())), Vec::new());
    for (offset, line) in (0..).zip(lines) {
        if !left_out.contains(&offset) {
            let record = Record::new(line.clone().leak().as_bytes());
            AccessLog.decode(record, arena, &mut all).expect("a line that counts is read");
        }
    }
    all
}

fn by<K: Ord>(
    all: &[Access<'static>],
    key: impl Fn(&Access<'static>) -> K,
) -> BTreeMap<K, Vec<Access<'static>>> {
    let mut groups: BTreeMap<K, Vec<Access<'static>>> = BTreeMap::new();
    all.iter().for_each(|access| groups.entry(key(access)).or_default().push(*access));
    groups
}

fn paths(group: &[Access<'static>]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    group.iter().for_each(|access| *counts.entry(access.path).or_default() += 1);
    counts
}

#[test]
fn tables_equal_a_batch_recomputation_on_any_number_of_workers() -> Result<()> {
    let log = generate::log(1_500, 7);
    for workers in [1, 3] {
        let (tables, report) = tables_of(&log.lines, workers)?;
        assert_eq!((report.fates.malformed, report.fates.too_late), (log.damaged, log.too_late));
        assert!(log.damaged > 5 && log.too_late > 5 && report.fates.late_applied > 50, "{:?}", report.fates);
        let letters = tables.dead_letters();
        assert_eq!(letters.len() as u64, log.damaged + log.too_late);
        assert!(letters.iter().all(|letter| matches!(letter.fate, Fate::Malformed | Fate::TooLate)));
        let all = read(&log.lines, &letters.iter().map(|letter| letter.offset).collect());

        let mut minutes = BTreeMap::new();
        for ((site, minute), group) in by(&all, |access| (access.site.to_owned(), access.time.0 / 60_000)) {
            let class = |class| group.iter().filter(|access| access.status / 100 == class).count() as u64;
            let bytes: i128 = group.iter().map(|access| i128::from(access.bytes)).sum();
            let mut sketch = Quantiles::default();
            group.iter().filter_map(|access| access.millis).for_each(|millis| sketch.add(millis));
            close_to_exact(&sketch, &group);
            let counts = (group.len() as u64, class(2), class(3), class(4), class(5), bytes, sketch);
            minutes.insert((site, minute * 60_000), counts);
        }
        let found = tables.rows_of::<Minute>().into_iter();
        let found: BTreeMap<_, _> = found
            .map(|row| ((row.key, row.summary.window.start.or_epoch().0), (*row.summary.value).clone()))
            .collect();
        assert_eq!(found, minutes);

        let mut hours = BTreeMap::new();
        for ((site, hour), group) in by(&all, |access| (access.site.to_owned(), access.time.0 / 3_600_000)) {
            let visitors: BTreeSet<_> = group.iter().map(|access| access.visitor).collect();
            let counted = paths(&group).into_iter().map(|(name, count)| Counted { name: name.into(), count });
            let mut top: Vec<_> = counted.collect();
            top.sort_by_key(|path| (std::cmp::Reverse(path.count), path.name.clone()));
            top.truncate(5);
            hours.insert((site, hour * 3_600_000), (group.len() as u64, visitors.len() as u64, top));
        }
        let found = tables.rows_of::<Hour>().into_iter();
        let found: BTreeMap<_, _> = found
            .map(|row| ((row.key, row.summary.window.start.or_epoch().0), (*row.summary.value).clone()))
            .collect();
        assert_eq!(found, hours);

        let mut visits = Vec::new();
        for (key, mut group) in by(&all, |access| (access.site.to_owned(), access.visitor.to_owned())) {
            group.sort_by_key(|access| access.time);
            for visit in group.chunk_by(|one, other| other.time - one.time < 30 * 60_000) {
                let bytes: i128 = visit.iter().map(|access| i128::from(access.bytes)).sum();
                let counts = (visit.len() as u64, paths(visit).len() as u64, bytes);
                visits.push((key.clone(), visit[0].time, counts));
            }
        }
        let found = tables.rows_of::<Visit>().into_iter();
        let found: Vec<_> =
            found.map(|row| (row.key, row.summary.window.start.or_epoch(), *row.summary.value)).collect();
        assert_eq!(found, visits);
    }
    Ok(())
}

/// Checks that the quantiles are as exact as the sketch promises.
fn close_to_exact(sketch: &Quantiles, group: &[Access<'_>]) {
    let mut units: Vec<i64> =
        group.iter().filter_map(|access| access.millis).map(|millis| Micro::from(millis).0).collect();
    units.sort_unstable();
    for percent in [50, 90, 99] {
        let exact = units[(units.len() * percent).div_ceil(100) - 1];
        let found = sketch.quantile(percent as f64 / 100.0).unwrap_or(-1);
        assert!(found.abs_diff(exact) * 128 <= exact.unsigned_abs(), "{found} instead of {exact}");
    }
}

#[test]
fn the_incident_is_found_and_everything_is_shown() -> Result<()> {
    let log = generate::log(3_000, 1);
    let (tables, report) = tables_of(&log.lines, 2)?;
    let begin = generate::START.plus(generate::INCIDENT.start * 60_000);
    let moments = tables.rows_of::<Moment<String>>();
    assert!(
        moments.iter().any(|found| found.key == "shop.example" && found.started_at == begin),
        "{moments:?}"
    );
    let text = show::all(&tables, &report, 6);
    for part in [
        "lines that were not read: has no time in brackets, such as `203.0.113.37 - - [the disk",
        "p99",
        "shop.example",
        "/search",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    Ok(())
}

#[test]
fn files_are_read_and_a_missing_one_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("access.log");
    std::fs::write(&path, "::1 - - [10/Oct/2000:20:55:36 +0000] \"GET / HTTP/2.0\" 304 -\n")?;
    let tables = MemorySink::new();
    let report = start(Lines::file(&path), tables.clone(), 1)?.wait()?;
    assert_eq!((report.fates.on_time, tables.table("site_minute").len()), (1, 1));
    // A line without a duration has no latency.
    assert!(show::all(&tables, &report, 6).contains(" - |"));

    let args = |arg: &str| options(["access_log", arg]).map_err(|error| error.to_string());
    let missing = folder.path().join("none.log");
    let missing = args(&missing.to_string_lossy()).err().unwrap_or_default();
    assert!(missing.contains("could not open") && missing.contains("none.log"), "{missing}");
    assert!(args(&folder.path().to_string_lossy()).is_err_and(|error| error.contains("is a folder")));
    assert!(args("--wrong").is_err_and(|error| error.contains("--help")));
    assert!(args("--rows=-1").is_err_and(|error| error.contains("invalid value '-1' for '--rows <N>'")));
    let both = options(["access_log", "-", &path.to_string_lossy()])?.files;
    assert_eq!(both, [Path::new("-"), &path]);
    Ok(())
}
