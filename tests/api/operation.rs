//! The pages and answers for those who run it.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use crate::server::app::Options;
use crate::service::{Service, wait};
use telemetra::http::Limits;

#[test]
fn it_is_ready_while_answers_move_on() {
    let limits = Limits { stalled_after: Duration::from_millis(300), ..Limits::default() };
    let mut service =
        Service::with(Options { limits, ..Options::default() }, std::time::Duration::from_secs(3600));
    let ready = |service: &Service| {
        let answer = service.get("/ready");
        (answer.status, answer.json()["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(ready(&service), (503, "starting".to_owned()));
    assert_eq!(service.get("/health").status, 200, "it is well all the same");
    service.chat("ada", 0, 5);
    service.until(1);
    wait(|| ready(&service) == (200, "ready".to_owned()));
    wait(|| ready(&service) == (503, "stalled".to_owned()));
    service.until(2);
    wait(|| ready(&service) == (200, "ready".to_owned()));
}

#[test]
fn a_pipeline_that_failed_is_said() {
    let mut service = Service::start();
    service.chat("ada", 0, 5);
    service.until(1);
    let store = std::sync::Arc::clone(&service.store);
    assert!(store.stop().unwrap().is_some());
    let health = service.get("/health");
    assert_eq!((health.status, &health.json()["components"]["pipeline"]["status"]), (503, &"down".into()));
    assert_eq!(service.get("/streams/ada").status, 200, "what was answered can still be asked");
}

#[test]
fn requests_and_websockets_are_counted() {
    let service = Service::start();
    let socket = service.socket("/live/ada");
    service.get("/streams/somebody");
    let metrics = service.get("/metrics");
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = metrics.text();
    let request = r#"telemetra_api_requests_total{path="/streams/{id}",method="GET",status="404"}"#;
    let bucket = r#"telemetra_api_request_duration_seconds_bucket{path="/streams/{id}",le="0.001"}"#;
    for line in
        [request, bucket, "# HELP telemetra_api_websocket_clients", "telemetra_api_websocket_clients "]
    {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(!text.contains("somebody"), "a path of each stream would be a series of each stream");
    socket.close();
}

#[test]
fn a_log_into_a_file_has_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--port", "0", "--input", "-", "--log-level", "debug"];
    let mut command = crate::program::command(&crate::program::build("api"), folder.path(), &arguments);
    let mut child = command.spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = told.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned()));
    let answer = crate::client::request(address.unwrap().parse().unwrap(), "GET", "/health", &[]);
    assert_eq!(answer.status, 200);
    let log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let log: Vec<_> = log.take(3).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(log.concat().contains("DEBUG") && !log.concat().contains('\u{1b}'), "{log:?}");
}

#[test]
fn the_log_says_which_request_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::program::command(&crate::program::build("api"), folder.path(), &["--port", "0"]);
    // Nothing listens there.
    command
        .env("POSTGRES_HOST", "127.0.0.1")
        .env("POSTGRES_PORT", "1")
        .env("REDIS_URL", "redis://127.0.0.1:1/");
    let mut child = command.spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = told.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned()));
    let answer = crate::client::request(address.unwrap().parse().unwrap(), "GET", "/streams/ada", &[]);
    assert_eq!(answer.status, 503);
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = log.find(|line| line.contains("response failed")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("/streams/ada") && line.contains("GET"), "{line}");
}

#[test]
fn every_answer_has_an_id_and_keeps_that_of_the_request() {
    let service = Service::start();
    let (first, second) = (service.get("/health"), service.get("/health"));
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    let answer =
        crate::client::request(service.address, "GET", "/nothing", &[("x-request-id", "from-elsewhere")]);
    assert_eq!(answer.headers["x-request-id"], "from-elsewhere");
    assert_eq!(answer.json()["request_id"], "from-elsewhere");
}

#[test]
fn the_pages_need_nothing_from_elsewhere() {
    let service = Service::start();
    for path in ["/", "/docs"] {
        let page = service.get(path);
        assert_eq!((page.status, &*page.headers["content-type"]), (200, "text/html; charset=utf-8"));
        assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"));
        let text = page.text();
        assert!(text.contains("Test") && !text.contains("{{"), "{text}");
        let links =
            text.split(['"', '\'']).filter(|part| part.starts_with("http") || part.starts_with("/page/"));
        for link in links {
            let file = service.get(link);
            assert!(
                link.starts_with("/page/") && file.status == 200 && !file.body.is_empty(),
                "{path} has {link}"
            );
            let imports = file.text();
            for import in imports.lines().filter_map(|line| line.strip_prefix("import ")) {
                let name = import.split("\"./").nth(1).unwrap().trim_end_matches("\";");
                assert_eq!(service.get(&format!("/page/{name}")).status, 200, "{link} imports {name}");
            }
        }
    }
}
