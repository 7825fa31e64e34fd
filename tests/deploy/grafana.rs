//! The dashboard of Grafana beside the alerts and the tables.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use telemetra::livestream::moment_layout;

use super::{document, read};

fn dashboard() -> Json {
    serde_json::from_str(&read("deploy/grafana/telemetra.json")).unwrap()
}

#[test]
fn where_an_alert_has_a_limit_the_chart_shows_it() {
    let (alerts, dashboard) = (document("deploy/prometheus/alerts.yaml"), dashboard());
    let mut limits = 0;
    for rule in alerts["groups"][0]["rules"].as_array().unwrap() {
        let expression = rule["expr"].as_str().unwrap();
        // Those that hold one metric against a number; charts with several series have no limit in common.
        let words: Vec<_> = expression.split_whitespace().take(3).collect();
        let [metric, ">" | ">=" | "==", limit] = words[..] else { continue };
        let Ok(limit) = limit.parse::<f64>() else { continue };
        // Red is what is below 1.
        let limit = if metric == "telemetra_pipeline_up" { 1.0 } else { limit };
        let charts = dashboard["panels"].as_array().unwrap().iter().filter(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets
                .filter_map(|target| target["expr"].as_str())
                .any(|expr| expr.contains(&format!("{metric}{{")))
        });
        for chart in charts.filter(|chart| chart["targets"].as_array().unwrap().len() == 1) {
            let steps = chart["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array();
            let has = steps.into_iter().flatten().any(|step| step["value"].as_f64() == Some(limit));
            assert!(has, "{} does not show {limit}", chart["title"]);
            limits += usize::from(has);
        }
    }
    assert!(limits >= 5, "{limits}");
}

#[test]
fn moments_are_marked_from_the_table_that_has_them() {
    let marks = &dashboard()["annotations"]["list"][0];
    let query = marks["target"]["rawSql"].as_str().unwrap();
    let layout = moment_layout();
    let columns: BTreeSet<_> =
        layout.table().all_columns().iter().map(|column| column.name.to_string()).collect();
    assert!(query.contains(&format!("FROM {} ", layout.table().name())), "{query}");
    for column in ["started_at", "ended_at", "moment_type", "stream_id"] {
        assert!(query.contains(column) && columns.contains(column), "{column}: {columns:?}");
    }
    assert_eq!(marks["enable"], true);
}

#[test]
fn every_variable_is_used_and_every_source_of_data_is_provided() {
    let (dashboard, text) = (dashboard(), read("deploy/grafana/telemetra.json"));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.len() > 1);
    for variable in variables {
        let name = variable["name"].as_str().unwrap();
        assert!(text.contains(&format!("${name}")), "{name} chooses nothing");
    }
    let sources = document("deploy/grafana/provisioning/datasources/telemetra.yaml");
    let provided: BTreeSet<_> = sources["datasources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|source| source["uid"].as_str())
        .collect();
    let asked = text.lines().filter_map(|line| line.trim().strip_prefix("\"uid\": \"")?.split('"').next());
    let asked: BTreeSet<_> = asked.filter(|uid| *uid != "telemetra").collect();
    assert_eq!(asked, provided);
}
