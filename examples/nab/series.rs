use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use telemetra::prelude::EventTime;

/// A series and its labels.
pub(crate) struct Series {
    /// `FOLDER/NAME.csv`.
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
    /// The first and the last point of each labelled window.
    pub(crate) windows: Vec<(usize, usize)>,
}

pub(crate) struct Point {
    pub(crate) timestamp: String,
    pub(crate) time: EventTime,
    pub(crate) value: f64,
}

impl Series {
    /// All labelled series, with and without windows.
    pub(crate) fn all(data: &Path) -> Result<Vec<Self>> {
        let path = data.join("labels/combined_windows.json");
        let labels = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        let labels: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_slice(&labels)
            .with_context(|| format!("{} is not a list of windows by file", path.display()))?;
        labels.iter().map(|(name, windows)| Self::read(data, name, windows)).collect()
    }

    fn read(data: &Path, name: &str, labels: &[[String; 2]]) -> Result<Self> {
        let path = data.join("data").join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let points = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
        let points = points.map(|(number, line)| {
            Point::parse(line).with_context(|| format!("{} line {}", path.display(), number + 1))
        });
        let points: Vec<Point> = points.collect::<Result<_>>()?;
        let index = |label: &str| {
            let time = time(label)?;
            let found = points.iter().position(|point| point.time == time);
            found.with_context(|| format!("{name} has no point at {label}, where a label is"))
        };
        let windows = labels.iter().map(|[first, last]| Ok((index(first)?, index(last)?)));
        let windows = windows.collect::<Result<_>>()?;
        Ok(Self { name: name.to_owned(), points, windows })
    }

    pub(crate) fn folder(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

impl Point {
    fn parse(line: &str) -> Result<Self> {
        let (timestamp, value) = line.split_once(',').context("there is no comma")?;
        let value = value.trim().parse().with_context(|| format!("`{value}` is no number"))?;
        Ok(Self { timestamp: timestamp.to_owned(), time: time(timestamp)?, value })
    }
}

/// Parses `2014-02-14 14:30:00`, with or without decimals, as UTC.
fn time(text: &str) -> Result<EventTime> {
    let text = format!("{}Z", text.trim().replace(' ', "T"));
    text.parse().map_err(|_| anyhow::anyhow!("`{text}` is no time"))
}
