//! Every setting once: its name, environment variable and meaning.

mod generator;
mod run;
mod servers;
mod start;
mod time;

use std::collections::BTreeMap;
use std::time::Duration;

use telemetra::livestream::generate::Planting;
use telemetra::prelude::*;

use crate::common::generator as generate;
use crate::common::settings::{Setting, Table};
use crate::places::{self, Source};
use crate::settings::Settings;

type Flag = Setting<Settings>;

pub(crate) const TABLE: Table<Settings> = Table {
    program: "full_pipeline",
    about: "Reads events of live streams, sums them up by stream and minute (windows), finds unusual times (moments), \
            and writes both to tables, which it corrects when events arrive late.\n\n\
            Without settings it makes up half an hour of events and writes the results to a new telemetra.db, a \
            SQLite file. Kafka, Postgres and Redis are used if their address is given, each by itself.",
    groups: &[
        ("Run", run::FLAGS),
        ("Start and savepoints", start::FLAGS),
        ("Kafka", servers::KAFKA),
        ("Postgres and Redis", servers::STORES),
        ("Time and windows", time::FLAGS),
        ("Made-up events, where nothing else is read", generator::FLAGS),
    ],
    hidden: &["assist", "embedded-servers"],
};

/// The silence after which a partition of the embedded Kafka is not waited for: it holds what the generator has made, and no
/// more comes.
const EMBEDDED_IDLE: Duration = Duration::from_millis(200);

/// Decides what depends on other settings. `origins` says who gave which.
pub(crate) fn settle(
    settings: &mut Settings,
    origins: &BTreeMap<&'static str, String>,
) -> Result<(), ConfigError> {
    settings.time.windows =
        WindowSpec::sliding(Duration::from_millis(settings.window), Duration::from_millis(settings.slide))?;
    if settings.quiet && !origins.contains_key("log-level") {
        settings.log_level = Some(tracing::Level::ERROR);
    }
    places::choose(settings, origins)?;
    cluster(settings, origins)?;
    let live = settings.inputs.iter().any(|input| input == "-");
    let idle = match settings.source {
        Source::Kafka if !settings.kafka.until_end => Some(Duration::from_secs(5)),
        Source::Embedded => Some(EMBEDDED_IDLE),
        Source::Lines if live => Some(Duration::from_secs(5)),
        Source::Kafka | Source::Lines | Source::Generator => None,
    };
    settings.time.idle_after = settings.idle_after.unwrap_or(idle);
    if let Some(events) = settings.events {
        settings.generator.events_per_second = events as f64 * 1000.0 / settings.generator.duration_ms as f64;
    }
    if settings.plant == Some(false) {
        settings.generator.planted = Planting::none();
    }
    if matches!(settings.source, Source::Generator | Source::Embedded) {
        settings.generator = generate::made(&settings.generator, settings.plant)?.config().clone();
    }
    if settings.pace.is_some() && settings.source != Source::Lines {
        return Err(ConfigError::new(
            "pace",
            format!("{} has no pace", settings.source),
            "give an --input, or leave it out",
        ));
    }
    Ok(())
}

/// Decides which process of which cluster this one is, if it is told where the others are.
fn cluster(settings: &mut Settings, origins: &BTreeMap<&'static str, String>) -> Result<(), ConfigError> {
    if settings.addresses.is_empty() {
        return match origins.get("process") {
            Some(origin) => {
                let detail = "it is not told where the others are".to_owned();
                Err(ConfigError::new("process", detail, format!("give --addresses with {origin}")))
            }
            None => Ok(()),
        };
    }
    if settings.source == Source::Embedded && !settings.assists {
        let detail = "a Kafka within one process is not there for the others".to_owned();
        return Err(ConfigError::new("addresses", detail, "name the servers of another, or use --processes"));
    }
    settings.processes = settings.addresses.len();
    settings.cluster = Some((settings.process, settings.addresses.clone()));
    Ok(())
}
