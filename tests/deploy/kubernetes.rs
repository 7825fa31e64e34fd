//! The manifests of Kubernetes: that what they name is there, and that the programs have the settings they give.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{check_command, documents, has_variable, read, texts};

struct Manifests(Vec<Json>);

impl Manifests {
    fn read() -> Self {
        Self(documents("deploy/kubernetes/telemetra.yaml"))
    }

    fn of(&self, kind: &'static str) -> impl Iterator<Item = &Json> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    fn named(&self, kind: &'static str, name: &Json) -> &Json {
        let found = self.of(kind).find(|object| object["metadata"]["name"] == *name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// What runs pods: the stateful set and the deployment.
    fn workloads(&self) -> Vec<&Json> {
        let workloads: Vec<_> = self.of("StatefulSet").chain(self.of("Deployment")).collect();
        assert_eq!(workloads.len(), 2);
        workloads
    }
}

fn container(workload: &Json) -> &Json {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn variable<'a>(container: &'a Json, name: &str) -> &'a str {
    let found = list(&container["env"]).iter().find(|variable| variable["name"] == name);
    found.and_then(|variable| variable["value"].as_str()).unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn objects_are_of_kinds_and_versions_that_there_are() {
    let manifests = Manifests::read();
    let mut names = BTreeSet::new();
    for object in &manifests.0 {
        let (kind, version) = (object["kind"].as_str().unwrap(), object["apiVersion"].as_str().unwrap());
        let known = [
            ("ConfigMap", "v1"),
            ("Service", "v1"),
            ("StatefulSet", "apps/v1"),
            ("Deployment", "apps/v1"),
            ("PodDisruptionBudget", "policy/v1"),
        ];
        assert!(known.contains(&(kind, version)), "{kind} {version}");
        let name = object["metadata"]["name"].as_str().unwrap();
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.chars().all(good) && name.len() < 64, "{name}");
        assert!(names.insert((kind, name)), "{kind} {name} comes twice");
    }
}

#[test]
fn services_budgets_and_workloads_mean_the_same_pods() {
    let manifests = Manifests::read();
    let labels = |workload: &Json| workload["spec"]["template"]["metadata"]["labels"].clone();
    let mut chosen = Vec::new();
    for workload in manifests.workloads() {
        let own = &workload["spec"]["selector"]["matchLabels"];
        assert_eq!(labels(workload)["app.kubernetes.io/name"], own["app.kubernetes.io/name"]);
        chosen.push(own.clone());
    }
    let selectors = manifests.of("Service").map(|service| &service["spec"]["selector"]);
    let budgets =
        manifests.of("PodDisruptionBudget").map(|budget| &budget["spec"]["selector"]["matchLabels"]);
    for selectors in [selectors.collect::<Vec<_>>(), budgets.collect()] {
        assert_eq!(selectors, chosen.iter().collect::<Vec<_>>());
    }
    for workload in manifests.workloads() {
        let ports = list(&container(workload)["ports"]);
        let service = manifests
            .of("Service")
            .find(|service| service["spec"]["selector"] == workload["spec"]["selector"]["matchLabels"]);
        for port in list(&service.unwrap()["spec"]["ports"]) {
            assert!(ports.iter().any(|known| known["name"] == port["targetPort"]), "{port}");
        }
    }
}

#[test]
fn programs_get_settings_that_they_have() {
    let manifests = Manifests::read();
    let mut used = BTreeSet::new();
    let mut map = Json::Null;
    for workload in manifests.workloads() {
        let container = container(workload);
        let command = texts(&container["args"]);
        check_command(&command);
        map = manifests.named("ConfigMap", &container["envFrom"][0]["configMapRef"]["name"]).clone();
        let shared = map["data"].as_object().unwrap().keys();
        used.extend(shared.filter(|name| has_variable(&command[0], name)).cloned());
        for variable in list(&container["env"]) {
            let name = variable["name"].as_str().unwrap();
            assert!(has_variable(&command[0], name), "{} has no variable {name}", command[0]);
            assert!(
                variable["value"].is_string() || variable["valueFrom"].is_object(),
                "{variable} is no text"
            );
        }
    }
    for (name, value) in map["data"].as_object().unwrap() {
        assert!(used.contains(name), "no program has a variable {name}");
        assert!(value.is_string(), "{name}: Kubernetes takes texts only");
    }
}

#[test]
fn secrets_come_by_file_alone() {
    let manifests = Manifests::read();
    let map = manifests.of("ConfigMap").next().unwrap()["data"].as_object().unwrap();
    for secret in ["POSTGRES_PASSWORD", "REDIS_URL", "API_TOKEN"] {
        assert!(!map.contains_key(secret), "{secret} is for everyone to read");
    }
    for workload in manifests.workloads() {
        let (pod, container) = (&workload["spec"]["template"]["spec"], container(workload));
        assert!(
            list(&container["env"]).iter().all(|variable| variable["valueFrom"]["secretKeyRef"].is_null())
        );
        let mounts = list(&container["volumeMounts"]);
        for (_, file) in map.iter().filter(|(name, _)| name.ends_with("_FILE")) {
            let folder = file.as_str().unwrap().rsplit_once('/').unwrap().0;
            let mount = mounts.iter().find(|mount| mount["mountPath"] == folder).unwrap();
            let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            assert_eq!(volume["secret"]["secretName"], "telemetra");
        }
        assert_eq!(pod["enableServiceLinks"], false, "else POSTGRES_PORT is what a service makes of it");
    }
}

#[test]
fn the_processes_of_the_pipeline_know_each_other() {
    let manifests = Manifests::read();
    let set = manifests.of("StatefulSet").next().unwrap();
    let (name, container) = (set["metadata"]["name"].as_str().unwrap(), container(set));
    let replicas = set["spec"]["replicas"].as_u64().unwrap();
    let service = manifests.named("Service", &set["spec"]["serviceName"]);
    assert_eq!(
        (&service["spec"]["clusterIP"], &service["spec"]["publishNotReadyAddresses"]),
        (&"None".into(), &true.into())
    );
    // They start together, as each waits for the others.
    assert_eq!(set["spec"]["podManagementPolicy"], "Parallel");
    let port = list(&container["ports"]).iter().find(|port| port["name"] == "exchange").unwrap();
    let service = service["metadata"]["name"].as_str().unwrap();
    let address = |n: u64| format!("{name}-{n}.{service}:{}", port["containerPort"]);
    let addresses: Vec<_> = (0..replicas).map(address).collect();
    assert_eq!(variable(container, "TELEMETRA_ADDRESSES"), addresses.join(","));
    let checkpoint = variable(container, "TELEMETRA_CHECKPOINT");
    assert_eq!(checkpoint, "postgres", "a folder would be another one on another node");

    let first: u64 =
        variable(container, "TELEMETRA_METRICS_ADDRESS").strip_prefix("0.0.0.0:").unwrap().parse().unwrap();
    for n in 0..replicas {
        let known =
            |port: &Json| port["name"] == format!("metrics-{n}") && port["containerPort"] == first + n;
        assert!(list(&container["ports"]).iter().any(known), "process {n} has its metrics at {}", first + n);
    }
    let command = texts(&container["readinessProbe"]["exec"]["command"]).join(" ");
    assert!(command.contains(&format!("$(({first} + TELEMETRA_PROCESS))/metrics")), "{command}");
}

#[test]
fn probes_ask_where_the_programs_answer() {
    let manifests = Manifests::read();
    let api = container(manifests.of("Deployment").next().unwrap());
    let port = list(&api["ports"]).iter().find(|port| port["name"] == "http").unwrap();
    assert_eq!(variable(api, "API_PORT"), port["containerPort"].to_string());
    assert_eq!(variable(api, "API_HOST"), "0.0.0.0");
    let ready = &api["readinessProbe"]["httpGet"];
    let route = format!(".route(\"{}\"", ready["path"].as_str().unwrap());
    assert!(read("examples/api/server/app.rs").contains(&route), "{ready}");
    for workload in manifests.workloads() {
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let probe = &container(workload)[probe];
            let asked = ["exec", "httpGet", "tcpSocket"].map(|kind| &probe[kind]);
            assert_eq!(asked.iter().filter(|kind| !kind.is_null()).count(), 1, "{probe}");
            let named = [&probe["httpGet"]["port"], &probe["tcpSocket"]["port"]];
            assert!(named.iter().all(|port| port.is_null() || **port == "http"), "{probe}");
        }
    }
}
