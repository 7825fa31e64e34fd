//! Runs detectors over the labelled series of the Numenta Anomaly Benchmark, and scores them.
//!
//! ```sh
//! cargo run --release --example nab -- DATA                      # a table of all detectors
//! cargo run --release --example nab -- DATA --detector unseen    # one, file by file
//! cargo run --release --example nab -- DATA --detector unseen --out OUT
//! ```
//!
//! `DATA` is the folder with the benchmark's `data/FOLDER/NAME.csv` and `labels/combined_windows.json`. With
//! `--out` the scores are written to `OUT/FOLDER/NAME.csv`, in the format that the benchmark's own programs
//! read. A series is read once and in order, and detectors get neither its length nor its labels.

mod detectors;
mod score;
mod series;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, arg, value_parser};
use comfy_table::{Table, presets};

use detectors::Detector;
use score::{Labelled, leave_one_folder_out, standard};
use series::Series;

struct Options {
    data: PathBuf,
    out: Option<PathBuf>,
    detector: Option<Detector>,
}

fn options() -> Options {
    let folder = || value_parser!(PathBuf);
    let mut matches = Command::new("nab")
        .about("Runs detectors over the series of the Numenta Anomaly Benchmark, and scores them.")
        .after_help(format!("Detectors: {}", Detector::names()))
        .args([
            arg!(<DATA> "the folder with the benchmark's `data` and `labels`").value_parser(folder()),
            arg!(--detector <NAME> "the one to score file by file [all, in a table]")
                .required(false)
                .value_parser(Detector::named),
            arg!(--out <FOLDER> "where to write its scores [nowhere]")
                .required(false)
                .requires("detector")
                .value_parser(folder()),
        ])
        .get_matches();
    Options {
        data: matches.remove_one("DATA").unwrap_or_default(),
        out: matches.remove_one("out"),
        detector: matches.remove_one("detector"),
    }
}

fn main() -> Result<()> {
    let Options { data, out, detector } = options();
    let series = Series::all(&data)?;
    let Some(detector) = detector else {
        println!("{}", table(&series)?);
        return Ok(());
    };
    let runs = run(detector, &series)?;
    if let Some(out) = out {
        for (series, run) in series.iter().zip(&runs) {
            write(&out, series, &run.scores)?;
        }
    }
    let best = standard(&runs, None);
    println!("{:.2} at a threshold of {:.6}: {best}", best.normalised, best.threshold);
    for (series, run) in series.iter().zip(&runs) {
        println!("  {:58} {}", series.name, standard(std::slice::from_ref(run), Some(best.threshold)));
    }
    Ok(())
}

fn run<'a>(detector: Detector, series: &'a [Series]) -> Result<Vec<Labelled<'a>>> {
    let run = |series: &'a Series| {
        let mut score = detector.start()?;
        let points = series.points.iter();
        let scores = points.map(|point| score(point.time, point.value)).collect();
        Ok(Labelled { folder: series.folder(), windows: &series.windows, scores })
    };
    series.iter().map(run).collect()
}

fn table(series: &[Series]) -> Result<Table> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["detector", "standard profile", "leave one folder out", "windows hit", "false alarms"]);
    for detector in Detector::ALL {
        let runs = run(*detector, series)?;
        let best = standard(&runs, None);
        table.add_row([
            detector.name().to_owned(),
            format!("{:.1}", best.normalised),
            format!("{:.1}", leave_one_folder_out(&runs)),
            format!("{} of {}", best.hit, best.windows),
            best.false_alarms.to_string(),
        ]);
    }
    Ok(table)
}

fn write(out: &Path, series: &Series, scores: &[f64]) -> Result<()> {
    let path = out.join(&series.name);
    let shown = path.display();
    fs::create_dir_all(path.parent().unwrap_or(out))
        .with_context(|| format!("could not make a folder for {shown}"))?;
    let rows = series.points.iter().zip(scores);
    let rows = rows.map(|(point, score)| format!("{},{},{score}\n", point.timestamp, point.value));
    let text = format!("timestamp,value,anomaly_score\n{}", rows.collect::<String>());
    fs::write(&path, text).with_context(|| format!("could not write {shown}"))
}
