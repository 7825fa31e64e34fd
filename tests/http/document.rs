//! The OpenAPI document says what the router answers: of rows by the columns of their tables.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use telemetra::http::{Limits, Settings};

use crate::client::Socket;
use crate::devices::Devices;
use crate::follower::Follower;
use crate::schema::{check, schema};

#[test]
fn answers_are_as_documented() {
    let devices = Devices::busy();
    let document = devices.json("/devices/openapi.json");
    assert_eq!(document["servers"], json!([{ "url": "/devices" }]));
    for (path, request) in [
        ("/tables", "/tables"),
        ("/tables/device_minute/keys", "/tables/device_minute/keys"),
        ("/tables/device_minute/keys", "/tables/device_minute/keys?limit=0"),
        ("/tables/device_minute/keys/{key}", "/tables/device_minute/keys/d1?limit=3"),
        ("/tables/device_minute/keys/{key}", "/tables/device_minute/keys/nobody"),
        ("/tables/device_minute_moments/keys/{key}", "/tables/device_minute_moments/keys/d1"),
        ("/tables/alarms/keys/{key}", "/tables/alarms/keys/d1"),
        ("/tables/alarms/keys/{key}", "/tables/alarms/keys/d1?from=then"),
        ("/moments", "/moments"),
        ("/moments", "/moments?min_score=x"),
        ("/live", "/live"),
        ("/live/{key}", "/live/d1?history=-1"),
        ("/health", "/health"),
        ("/ready", "/ready"),
    ] {
        let answer = devices.get(&format!("/devices{request}"));
        let schema = schema(&document, path, answer.status, &answer.headers["content-type"]);
        check(&document, schema, &answer.json(), request).unwrap();
    }
    // A row that is of another table is found, and so is a column that is of another kind.
    let rows = devices.json("/devices/tables/alarms/keys/d1");
    let schema = |path| schema(&document, path, 200, "application/json");
    assert!(check(&document, schema("/tables/device_minute/keys/{key}"), &rows, "rows").is_err());
    for (column, wrong) in [("celsius", json!(80.2)), ("raised_at", json!("then")), ("severe", json!(null))] {
        let mut rows = rows.clone();
        rows["rows"][0]["row"][column] = wrong;
        assert!(check(&document, schema("/tables/alarms/keys/{key}"), &rows, "rows").is_err(), "{column}");
    }
}

#[test]
fn messages_are_as_documented() {
    let devices = Devices::busy();
    let document = devices.json("/devices/openapi.json");
    let mut socket = Socket::open(devices.address, "/devices/live?history=3600");
    let mut kinds = BTreeSet::new();
    let mut take = |message: &Value| {
        check(&document, &document["components"]["schemas"]["Message"], message, "message").unwrap();
        kinds.insert(message["type"].as_str().unwrap().to_owned());
    };
    let (cursor, snapshot) = Follower::next(&mut socket);
    take(&snapshot);
    take(&<Socket as Follower>::open(devices.address, "/devices/live", cursor.as_deref()).find(|_| true));
    devices.read("d1", 14, 3, 80.0);
    devices.until(15);
    take(&socket.find(|message| message["key"] == "d1"));
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["changes", "resumed", "snapshot"]);
}

#[test]
fn every_path_and_table_is_documented_and_limits_are_as_they_are_set() {
    let limits = Limits { page: 50, ..Limits::default() };
    let devices = Devices::with(Settings::new().title("Devices").limits(limits), 3600);
    let document = devices.json("/devices/openapi.json");
    assert_eq!(document["info"]["title"], "Devices");
    let source = include_str!("../../src/http/router.rs");
    let mut routes: BTreeSet<_> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.remove("/tables/{table}/keys") && routes.remove("/tables/{table}/keys/{key}"));
    assert!(routes.remove("/openapi.json"));
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<_> =
        paths.keys().map(String::as_str).filter(|path| !path.starts_with("/tables/")).collect();
    assert_eq!(documented, routes);
    for table in ["alarms", "device_minute", "device_minute_moments"] {
        assert!(paths.contains_key(&format!("/tables/{table}/keys/{{key}}")), "{table}");
    }
    let parameters = paths["/moments"]["get"]["parameters"].as_array().unwrap();
    let limit = parameters.iter().find(|parameter| parameter["name"] == "limit").unwrap();
    assert_eq!((&limit["schema"]["maximum"], &limit["required"]), (&json!(50), &json!(false)));
    let operations = document["paths"].as_object().unwrap().values();
    assert!(!operations.into_iter().any(|item| item["get"].get("parameters").is_some_and(Value::is_null)));
    // References lead somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

/// A type of a service of one's own: with a field that may be null, one that is flattened, and one with variants.
#[test]
fn what_derived_schemas_leave_open_is_said() {
    #[derive(serde::Serialize, utoipa::ToSchema)]
    struct Site {
        /// Its name.
        name: Option<String>,
    }

    #[derive(serde::Serialize, utoipa::ToSchema)]
    struct Device {
        id: u32,
        #[serde(flatten)]
        site: Site,
    }

    #[derive(serde::Serialize, utoipa::ToSchema)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum News {
        DeviceSeen { device: Device },
        Quiet { since: u64 },
    }

    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(News)))]
    struct Document;

    let document = telemetra::http::openapi::finished(<Document as utoipa::OpenApi>::openapi());
    let schemas = &document["components"]["schemas"];
    for (schema, fields) in [
        ("Device", json!(["id", "name"])),
        ("DeviceSeenNews", json!(["device", "type"])),
        ("QuietNews", json!(["since", "type"])),
    ] {
        assert_eq!(schemas[schema]["required"], fields, "{schema}: {schemas}");
        assert_eq!(schemas[schema]["additionalProperties"], false, "{schema}");
    }
    let device = Device { id: 7, site: Site { name: None } };
    let seen = serde_json::to_value(News::DeviceSeen { device }).unwrap();
    let quiet = serde_json::to_value(News::Quiet { since: 7 }).unwrap();
    for message in [&seen, &quiet] {
        check(&document, &schemas["News"], message, "news").unwrap();
    }
    assert!(check(&document, &schemas["DeviceSeenNews"], &quiet, "news").is_err());
}
