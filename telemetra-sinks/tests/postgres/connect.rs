//! Connections of services that read the tables.

use std::time::Duration;

use telemetra_core::{ExternalError, Retry};
use telemetra_sinks::PostgresConfig;
use tokio::runtime::{Builder, Runtime};

use super::server::{NOBODY, database};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_service_reads_by_the_configuration_of_the_sink() {
    let database = database();
    let config = database.config().application_name("reports").statement_timeout(Duration::from_millis(1234));
    runtime().block_on(async {
        let (client, connection) = config.connect().await.unwrap();
        let carried = tokio::spawn(connection);
        for (setting, value) in [("statement_timeout", "1234ms"), ("application_name", "reports")] {
            let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), value, "{setting}");
        }
        drop(client);
        carried.await.unwrap().unwrap();
    });
}

#[test]
fn a_connection_that_is_lost_says_so_and_may_be_made_anew() {
    let database = database();
    runtime().block_on(async {
        let (client, connection) = database.config().connect().await.unwrap();
        let carried = tokio::spawn(connection);
        client.query_one("SELECT 1", &[]).await.unwrap();
        let cut = tokio::task::spawn_blocking(move || {
            database.cut_all();
            database
        });
        let database = cut.await.unwrap();
        let error = carried.await.unwrap().unwrap_err();
        assert_eq!(error.retry(), Retry::Transient, "{error}");
        assert!(error.to_string().starts_with("lost the connection in the database `"), "{error}");
        assert!(client.is_closed());
        drop(database.config().connect().await.unwrap());
    });
}

#[test]
fn errors_say_whether_to_try_again() {
    let database = database();
    let error = |config: PostgresConfig| -> ExternalError {
        runtime().block_on(config.connect()).map(drop).unwrap_err()
    };
    let nobody = error(PostgresConfig::new("127.0.0.1").port(NOBODY));
    assert_eq!(nobody.retry(), Retry::Transient, "{nobody}");
    assert!(nobody.to_string().contains("check that the server runs"), "{nobody}");
    let unknown = error(database.config().user("nobody"));
    assert_eq!(unknown.retry(), Retry::Permanent, "{unknown}");
    assert!(unknown.to_string().contains("check user and password"), "{unknown}");
}
