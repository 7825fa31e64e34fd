//! The compose file as it is when its variables are put in.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{check_command, document, has_variable, path, read, texts};

const PASSWORDS: [&str; 4] = ["POSTGRES_PASSWORD", "REDIS_PASSWORD", "PGADMIN_PASSWORD", "GRAFANA_PASSWORD"];

/// A text with its variables put in, as Compose does it.
fn put_in(text: &str, variables: &BTreeMap<&str, String>) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        done += before;
        if let Some(after) = after.strip_prefix('$') {
            (done, rest) = (done + "$", after);
            continue;
        }
        let (inner, after) = after.strip_prefix('{').unwrap().split_once('}').unwrap();
        let (name, default) = inner.split_once(":-").unwrap_or((inner.split(":?").next().unwrap(), ""));
        let value = variables.get(name);
        assert!(value.is_some() || !inner.contains(":?"), "{name} has to be given and is not in env.example");
        done += value.map_or(default, |value| value);
        rest = after;
    }
    done + rest
}

fn resolve(value: Json, variables: &BTreeMap<&str, String>) -> Json {
    match value {
        Json::String(text) => Json::String(put_in(&text, variables)),
        Json::Array(list) => list.into_iter().map(|value| resolve(value, variables)).collect(),
        Json::Object(map) => map.into_iter().map(|(key, value)| (key, resolve(value, variables))).collect(),
        other => other,
    }
}

/// The services with the passwords of `env.example` filled in: each is its own name.
pub(crate) fn resolved() -> (Json, Map<String, Json>) {
    let example = read("deploy/env.example");
    let names =
        example.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.strip_suffix('='));
    let variables: BTreeMap<_, _> = names.map(|name| (name, format!("the-{name}"))).collect();
    assert!(PASSWORDS.iter().all(|name| variables.contains_key(name)), "{variables:?}");
    let file = resolve(document("deploy/compose.yaml"), &variables);
    let services = file["services"].as_object().unwrap().clone();
    (file, services)
}

/// The containers' ports that are published, with the addresses of the machine they are published on.
pub(crate) fn published(service: &Json) -> Vec<(String, String)> {
    let ports = if service["ports"].is_null() { Vec::new() } else { texts(&service["ports"]) };
    let port = |text: &String| {
        let (host, container) = text.rsplit_once(':').unwrap();
        (host.rsplit_once(':').unwrap().0.to_owned(), container.to_owned())
    };
    ports.iter().map(port).collect()
}

#[test]
fn programs_get_settings_that_they_have() {
    let mut programs = 0;
    for (name, service) in resolved().1 {
        if service["image"] != "telemetra:local" {
            continue;
        }
        programs += 1;
        let command = texts(&service["command"]);
        check_command(&command);
        for variable in service["environment"].as_object().unwrap().keys() {
            assert!(has_variable(&command[0], variable), "{name}: {} has no variable {variable}", command[0]);
        }
    }
    assert_eq!(programs, 3);
}

#[test]
fn the_api_and_the_metrics_are_reached_from_other_containers() {
    let services = resolved().1;
    let (api, pipeline) = (&services["api"], &services["pipeline"]);
    // The default is this machine alone, which in a container is nobody.
    assert_eq!(api["environment"]["API_HOST"], "0.0.0.0");
    let port = api["environment"]["API_PORT"].as_str().unwrap();
    assert_eq!(published(api), [("127.0.0.1".to_owned(), port.to_owned())]);
    let command = texts(&pipeline["command"]);
    let at = command.iter().position(|word| word == "--metrics-address").unwrap() + 1;
    let metrics = command[at].strip_prefix("0.0.0.0:").unwrap();
    assert_eq!(texts(&pipeline["expose"]), [metrics]);

    // And where the health checks and Prometheus ask.
    for (name, port) in [("api", port), ("pipeline", metrics)] {
        let test = texts(&services[name]["healthcheck"]["test"]).join(" ");
        assert!(
            test.contains(&format!("http://{name}:{port}/")),
            "a loopback address answers anyway: {test}"
        );
    }
    let prometheus = document("deploy/prometheus/prometheus.yaml");
    let jobs = prometheus["scrape_configs"].as_array().unwrap();
    let targets: Vec<_> = jobs.iter().flat_map(|job| texts(&job["static_configs"][0]["targets"])).collect();
    assert_eq!(targets, [format!("pipeline:{metrics}"), format!("api:{port}")]);
}

#[test]
fn alerts_go_to_an_alertmanager_with_a_receiver_for_each_severity() {
    let prometheus = document("deploy/prometheus/prometheus.yaml");
    assert_eq!(texts(&prometheus["rule_files"]), ["alerts.yaml"]);
    let target = &texts(&prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"])[0];
    let (service, port) = target.split_once(':').unwrap();
    assert_eq!(published(&resolved().1[service])[0].1, port);

    let alertmanager = document("deploy/alertmanager/alertmanager.yaml");
    let receivers = alertmanager["receivers"].as_array().unwrap();
    let known = |name: &Json| receivers.iter().any(|receiver| receiver["name"] == *name);
    let route = &alertmanager["route"];
    assert!(known(&route["receiver"]), "{route}");
    for route in route["routes"].as_array().unwrap() {
        assert!(known(&route["receiver"]), "{route}");
        let severity = texts(&route["matchers"])[0].split('"').nth(1).unwrap().to_owned();
        let alerts = read("deploy/prometheus/alerts.yaml");
        assert!(alerts.contains(&format!("severity: {severity}}}")), "no alert is {severity}");
    }
}

#[test]
fn no_password_is_an_argument() {
    for (name, service) in resolved().1 {
        for part in ["command", "entrypoint", "healthcheck"] {
            let text = service[part].to_string();
            let shown = PASSWORDS.iter().find(|name| text.contains(&format!("the-{name}")));
            assert!(shown.is_none(), "{name}: the {part} shows {shown:?}: {text}");
        }
    }
}

#[test]
fn health_checks_are_cheap_and_there_where_others_wait_for_them() {
    let services = resolved().1;
    for (name, service) in &services {
        let test = service["healthcheck"]["test"].to_string();
        assert!(!test.contains("/opt/kafka/bin"), "{name}: it starts a Java machine each time: {test}");
        let waits = service["depends_on"].as_object();
        for (other, condition) in waits.into_iter().flatten() {
            let other = services.get(other).unwrap_or_else(|| panic!("{name} waits for {other}"));
            let checked = !other["healthcheck"].is_null();
            assert!(
                checked || condition["condition"] != "service_healthy",
                "{name}: {other} has no health check"
            );
        }
        assert!(service["deploy"]["resources"]["limits"]["memory"].is_string(), "{name} has no limit");
    }
}

#[test]
fn volumes_are_declared_and_mounted_files_are_there() {
    let (file, services) = resolved();
    for (name, service) in services {
        let volumes = if service["volumes"].is_null() { Vec::new() } else { texts(&service["volumes"]) };
        for volume in volumes {
            let source = volume.split(':').next().unwrap();
            let known = match source.strip_prefix("./") {
                Some(file) => path("deploy").join(file).exists(),
                None => file["volumes"].get(source).is_some(),
            };
            assert!(known, "{name}: there is no {source}");
        }
        for (host, _) in published(&service) {
            assert_eq!(host, "127.0.0.1", "{name} is open to others than this machine");
        }
    }
    let servers: Json = serde_json::from_str(&read("deploy/pgadmin/servers.json")).unwrap();
    let (server, services) = (&servers["Servers"]["1"], resolved().1);
    let postgres = &services[server["Host"].as_str().unwrap()]["environment"];
    assert_eq!(server["MaintenanceDB"], postgres["POSTGRES_DB"]);
    assert_eq!(server["Username"], postgres["POSTGRES_USER"]);
}
