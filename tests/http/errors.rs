//! Errors have one shape, with the parameter and what it may be.

use telemetra::http::{Limits, Settings};

use crate::client::request;
use crate::devices::Devices;

#[test]
fn every_error_is_a_problem_that_names_what_is_wrong() {
    let limits = Limits { page: 50, ..Limits::default() };
    let settings = Settings::new().limits(limits).problems("https://example.org/problems/");
    let devices = Devices::with(settings, 3600);
    devices.read("d1", 0, 3, 20.0);
    devices.until(1);
    for (path, status, kind, says) in [
        ("/nothing", 404, "unknown-path", "nothing at this path"),
        ("/tables/nothing/keys", 404, "unknown-table", "there are: alarms, device_minute"),
        ("/tables/nothing/keys/d1", 404, "unknown-table", "`nothing`"),
        ("/tables/device_minute/keys/d9", 404, "unknown-key", "`d9`"),
        ("/tables/device_minute/keys/%ff", 400, "invalid-parameter", "`key`"),
        (
            "/tables/device_minute/keys?limit=0",
            400,
            "invalid-parameter",
            "`limit`: it has to be a whole number from 1 to 50",
        ),
        (
            "/tables/device_minute/keys/d1?limit=51",
            400,
            "invalid-parameter",
            "`limit`: it has to be a whole number from 1 to 50",
        ),
        (
            "/tables/device_minute/keys/d1?limit=1&limit=2",
            400,
            "invalid-parameter",
            "`limit`: it is given twice",
        ),
        (
            "/tables/device_minute/keys/d1?from=yesterday",
            400,
            "invalid-parameter",
            "`from`: it has to be a time",
        ),
        ("/tables/device_minute/keys/d1?cursor=7", 400, "invalid-parameter", "`cursor`"),
        (
            "/tables/device_minute/keys/d1?lmit=7",
            400,
            "invalid-parameter",
            "`lmit`: there is no such parameter",
        ),
        ("/moments?limit=51", 400, "invalid-parameter", "`limit`: it has to be a whole number from 1 to 50"),
        ("/moments?min_score=-1", 400, "invalid-parameter", "`min_score`: it has to be a number from 0 on"),
        ("/moments?min_score=NaN", 400, "invalid-parameter", "`min_score`"),
        (
            "/moments?max_chance=1.1",
            400,
            "invalid-parameter",
            "`max_chance`: it has to be a number from 0 to 1",
        ),
        ("/moments?open=maybe", 400, "invalid-parameter", "`open`"),
        (
            "/live?history=86401",
            400,
            "invalid-parameter",
            "`history`: it has to be a whole number from 0 to 86400",
        ),
        ("/live?cursor=7", 400, "invalid-parameter", "`cursor`"),
        ("/live", 426, "no-websocket", "text/event-stream"),
        ("/live/d1", 426, "no-websocket", "WebSocket"),
        ("/health?verbose", 400, "invalid-parameter", "`verbose`"),
    ] {
        let answer = devices.get(&format!("/devices{path}"));
        let problem = answer.json();
        assert_eq!(answer.status, status, "{path}: {problem}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(problem["type"], format!("https://example.org/problems/{kind}"), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
        assert_eq!(problem["request_id"], answer.headers["x-request-id"].as_str(), "{path}");
    }
    for method in ["POST", "DELETE"] {
        let answer = request(devices.address, method, "/devices/tables", &[("content-length", "0")]);
        assert_eq!(answer.status, 405, "{method}");
    }
    let head = request(devices.address, "HEAD", "/devices/nothing", &[]);
    assert_eq!((head.status, head.body.len()), (404, 0));
    assert_eq!(devices.get("/nothing").body, b"", "outside of the router nothing of it holds");
}
