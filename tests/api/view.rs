//! The router over the same pipeline, beside the paths of streams.

use telemetra::http::{Origins, Token};

use crate::client::request;
use crate::schema::{check, schema};
use crate::server::app::Options;
use crate::service::Service;

#[test]
fn the_tables_say_what_the_streams_do() {
    let mut service = Service::start();
    service.title("ada", 0, true, "Evening chat");
    service.spike("ada");
    let windows = service.get("/streams/ada/metrics").json()["metrics"].as_array().unwrap().clone();
    let rows =
        service.get("/view/tables/chat_summary_minute/keys/ada").json()["rows"].as_array().unwrap().clone();
    assert!(rows.len() > 70, "{}", rows.len());
    for (row, window) in rows.iter().zip(windows.iter().rev()) {
        for column in
            ["window_start", "window_end", "chat_count", "sentiment_score", "peak_viewers", "revision"]
        {
            assert_eq!(row["row"][column], window[column], "{column}");
        }
    }
    let moments = service.get("/streams/ada/moments").json()["moments"].clone();
    let of_view = service.get("/view/moments?key=ada").json()["moments"].clone();
    assert_eq!(of_view[0]["row"]["moment_id"], moments[0]["moment_id"]);
    assert_eq!(of_view.as_array().unwrap().len(), moments.as_array().unwrap().len());
    let stream = service.get("/view/tables/streams/keys/ada").json();
    assert_eq!(stream["rows"][0]["row"]["title"], "Evening chat");

    let document = service.get("/view/openapi.json").json();
    for path in
        ["chat_summary_minute", "moments", "streams"].map(|table| format!("/tables/{table}/keys/{{key}}"))
    {
        let answer = service.get(&format!("/view{}", path.replace("{key}", "ada")));
        check(&document, schema(&document, &path, 200, "application/json"), &answer.json(), &path).unwrap();
    }
}

#[test]
fn it_is_behind_the_same_token_and_answers_the_same_origins() {
    let mut origins = Origins::default();
    origins.add("https://example.org").unwrap();
    let options = Options { token: Token::new("s3cret"), origins, ..Options::default() };
    let service = Service::with(options, std::time::Duration::from_secs(3600));
    let origin = ("origin", "https://example.org");
    for path in ["/view/tables", "/view/moments", "/view/live"] {
        let answer = request(service.address, "GET", path, &[origin]);
        assert_eq!((answer.status, &answer.json()["type"]), (401, &"/docs#no-token".into()), "{path}");
    }
    let known = [origin, ("authorization", "Bearer s3cret")];
    let answer = request(service.address, "GET", "/view/tables", &known);
    assert_eq!((answer.status, &*answer.headers["access-control-allow-origin"]), (200, origin.1));
}
