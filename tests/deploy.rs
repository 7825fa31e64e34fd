//! The files for operators agree with the code: metrics, alerts, dashboard and the tables of settings.
//!
//! `TELEMETRA_UPDATE_DOCS=1 cargo test --test deploy` writes the generated parts of the documents anew.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "deploy/compose.rs"]
mod compose;
#[path = "deploy/grafana.rs"]
mod grafana;
#[path = "deploy/image.rs"]
mod image;
#[path = "deploy/kubernetes.rs"]
mod kubernetes;
#[path = "deploy/network.rs"]
mod network;
#[path = "deploy/processes.rs"]
mod processes;
#[path = "support/program.rs"]
mod program;
#[path = "support/services.rs"]
mod services;
#[path = "deploy/systemd.rs"]
mod systemd;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value as Json;
use telemetra::ops::metric::{ALL, Kind};

const OPERATIONS: &str = "docs/operations.md";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All names of metrics that a text has, those of the parts of histograms as those of the histograms.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let name = |word: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        let histogram = histogram.filter(|name| known().contains(*name));
        histogram.unwrap_or(word).to_owned()
    };
    words.filter(|word| word.starts_with("telemetra_")).map(name).collect()
}

/// The metrics of the library and of the API.
fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<_> = ALL.iter().map(|metric| metric.name.to_owned()).collect();
    let mut folders = vec![path("examples/api")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let texts = text.split('"').filter(|text| text.starts_with("telemetra_api_"));
                known.extend(texts.map(ToOwned::to_owned));
            }
        }
    }
    known
}

/// What is between `<!-- name -->` and `<!-- end -->`.
fn section<'a>(text: &'a str, name: &str) -> &'a str {
    let begin = format!("<!-- {name} -->\n");
    let start = text.find(&begin).unwrap_or_else(|| panic!("there is no {begin}")) + begin.len();
    &text[start..start + text[start..].find("<!-- end -->").unwrap()]
}

/// Holds a part of the operators' document to what it is generated from.
fn hold(parts: &[(&str, String)]) {
    let mut text = read(OPERATIONS);
    for (name, fresh) in parts {
        let old = section(&text, name);
        if std::env::var_os("TELEMETRA_UPDATE_DOCS").is_some() {
            let begin = old.as_ptr().addr() - text.as_ptr().addr();
            text.replace_range(begin..begin + old.len(), fresh);
        } else {
            assert_eq!(
                old, fresh,
                "{OPERATIONS} is out of date: TELEMETRA_UPDATE_DOCS=1 cargo test --test deploy"
            );
        }
    }
    if std::env::var_os("TELEMETRA_UPDATE_DOCS").is_some() {
        std::fs::write(path(OPERATIONS), text).unwrap();
    }
}

/// The first or second column of the table of a program's settings: its flags, or its variables. The table is held to the
/// program below.
fn settings_of(program: &str, column: usize) -> BTreeSet<String> {
    let text = read(OPERATIONS);
    let rows = section(&text, &format!("settings of {program}")).lines().skip(2);
    let cells =
        rows.filter_map(|row| row.split(" | ").nth(column)?.split('`').nth(1)?.split([' ', '[']).next());
    let names: BTreeSet<_> = cells.map(ToOwned::to_owned).collect();
    assert!(names.len() > 10, "{program}: {names:?}");
    names
}

/// Whether the program has that variable, or reads it from a file.
fn has_variable(program: &str, name: &str) -> bool {
    let known = settings_of(program, 1);
    known.contains(name) || name.strip_suffix("_FILE").is_some_and(|name| known.contains(name))
}

/// Holds the flags of a command to those of the program that is its first word.
fn check_command(command: &[String]) {
    let flags = settings_of(&command[0], 0);
    let unknown: Vec<_> =
        command.iter().filter(|word| word.starts_with("--") && !flags.contains(*word)).collect();
    assert!(unknown.is_empty(), "{command:?} has unknown flags {unknown:?}");
}

/// The documents of a YAML file, with merges done.
fn documents(name: &str) -> Vec<Json> {
    let text = read(name);
    let document = |document: serde_yaml_ng::Deserializer<'_>| {
        let mut value = serde_yaml_ng::Value::deserialize(document).unwrap_or_else(|e| panic!("{name}: {e}"));
        value.apply_merge().unwrap_or_else(|e| panic!("{name}: {e}"));
        serde_json::to_value(value).unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    serde_yaml_ng::Deserializer::from_str(&text).map(document).collect()
}

/// The one document of a file.
fn document(name: &str) -> Json {
    let mut documents = documents(name);
    assert_eq!(documents.len(), 1, "{name}");
    documents.remove(0)
}

fn texts(list: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
    list.as_array().unwrap_or_else(|| panic!("{list} is no list")).iter().map(text).collect()
}

// Both generated parts are held in one test, as they are written to one file.
#[test]
fn the_tables_of_metrics_and_settings_are_those_of_the_code() {
    let mut metrics = "| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        metrics += &format!("| `{}` | {kind} | {} | {} |\n", metric.name, labels.join(", "), metric.help);
    }
    let settings = |example: &str| {
        let output = Command::new(program::build(example)).arg("--help-markdown").output().unwrap();
        assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
        format!("{}\n", String::from_utf8(output.stdout).unwrap().trim_end())
    };
    hold(&[
        ("metrics", metrics),
        ("settings of full_pipeline", settings("full_pipeline")),
        ("settings of mock_producer", settings("mock_producer")),
        ("settings of api", settings("api")),
    ]);
}

#[test]
fn alerts_dashboard_and_documents_name_metrics_that_there_are() {
    let known = known();
    assert!(known.len() > ALL.len(), "the API has metrics of its own");
    let operations = read(OPERATIONS);
    let start = operations.find("\n## Metrics\n").unwrap() + 1;
    let end = start + operations[start..].find("\n## Alerts\n").unwrap();
    let (alerts, dashboard) = (read("deploy/prometheus/alerts.yaml"), read("deploy/grafana/telemetra.json"));
    for (what, text) in
        [("the alerts", &*alerts), ("the dashboard", &*dashboard), ("the docs", &operations[start..end])]
    {
        let named = names(text);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{what}: there are no metrics {unknown:?}");
        let missing: Vec<_> = known.difference(&named).collect();
        assert!(what == "the alerts" || missing.is_empty(), "{what} lack {missing:?}");
    }
}

#[test]
fn names_tell_units_and_kinds() {
    for metric in ALL {
        let total = metric.name.ends_with("_total");
        assert!(metric.kind != Kind::Counter || total, "{}", metric.name);
        // A counter of fractions, which the facade does not have.
        let fractions = metric.name == "telemetra_operator_busy_seconds_total";
        assert!(metric.kind == Kind::Counter || !total || fractions, "{}", metric.name);
        assert_eq!(metric.labels[0], "pipeline", "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
    let unique: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(unique.len(), ALL.len());
}

#[test]
fn every_alert_says_what_to_do_and_is_in_the_docs() {
    let (alerts, operations) = (read("deploy/prometheus/alerts.yaml"), read(OPERATIONS));
    let mut documented =
        operations.lines().filter_map(|line| line.strip_prefix("| `Telemetra")?.split('`').next());
    let mut rules = 0;
    for rule in alerts.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        for part in ["expr: ", "severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let row = documented.next().unwrap_or_default();
        assert_eq!(name, format!("Telemetra{row}"), "the alerts of {OPERATIONS} are not those of the rules");
        let severity = rule.split("severity: ").nth(1).unwrap().split('}').next().unwrap();
        assert!(operations.contains(&format!("| `{name}` | {severity} |")), "{name} is {severity}");
        rules += 1;
    }
    assert!(rules > 5 && documented.next().is_none());
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Json = serde_json::from_str(&read("deploy/grafana/telemetra.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut places = BTreeSet::new();
    for panel in panels {
        let place = ["x", "y"].map(|axis| panel["gridPos"][axis].as_u64().unwrap());
        assert!(places.insert(place), "{} lies on another", panel["title"]);
        let targets = panel["targets"].as_array().map_or(0, Vec::len);
        assert!(panel["type"] == "row" || targets > 0, "{} shows nothing", panel["title"]);
    }
}
