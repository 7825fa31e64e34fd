//! Killed at any instant, again and again, and restarted on other numbers of workers and processes, the pipeline from Kafka to
//! Postgres and Redis ends with the rows and keys of an undisturbed run, and these are what a batch job computes from the
//! whole log.
//!
//! `TELEMETRA_KILLS=100` kills a hundred times, `TELEMETRA_KILL_SEED` chooses other instants.
#![allow(unreachable_pub, reason = "the parts of a test see each other")]
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod batch;
mod life;
mod log;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/services.rs"]
mod services;
mod state;
mod suspended;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};
use telemetra::prelude::*;

use batch::Batch;
use life::{Chance, Place, When};
use services::Server;
use state::State;

const START: i64 = 1_772_323_200_000;

/// How often to kill a run.
fn kills() -> u64 {
    std::env::var("TELEMETRA_KILLS").ok().map_or(5, |kills| kills.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("TELEMETRA_KILL_SEED").ok().map_or(1, |seed| seed.parse().unwrap())
}

/// The settings of time that the program has by default.
fn time() -> TimeConfig {
    TimeConfig { deduplicate: true, idle_after: None, ..TimeConfig::default() }
}

/// The runs are the same in all that they leave behind, and in what they told of the whole log.
fn assert_identity(told: &Json, batch: &Batch) {
    let Fates { read, on_time, late_applied, too_late, malformed, from_future, duplicate } = batch.fates;
    let expected = json!({
        "read": read, "on_time": on_time, "late_applied": late_applied, "too_late": too_late,
        "malformed": malformed, "from_future": from_future, "duplicate": duplicate,
    });
    for (fate, count) in expected.as_object().unwrap() {
        assert_eq!(&told[fate], count, "{fate}, over all lives: {told}");
    }
    assert!(batch.fates.is_balanced());
}

fn assert_is_batch(state: &State, batch: &Batch) {
    for (table, rows) in &batch.tables {
        state::same(&state.facts(table), rows, &format!("the batch job: {table}"));
    }
    let letters: BTreeSet<_> = state.tables["telemetra_dead_letters"]
        .values()
        .map(|row| {
            let text = |column: &str| row[column].as_str().unwrap().to_owned();
            (text("partition"), row["offset"].as_u64().unwrap(), text("fate"))
        })
        .collect();
    let expected: BTreeSet<_> = batch
        .letters
        .iter()
        .map(|(place, offset, fate)| (place.clone(), *offset, (*fate).to_owned()))
        .collect();
    assert_eq!(letters, expected, "the dead letters");
}

/// Kills a run so often, spread over the whole log, each life with the arguments that chance gives it.
fn disturbed(
    place: &Place,
    kills: u64,
    minutes: u64,
    chance: &mut Chance,
    mut arguments: impl FnMut(&mut Chance) -> Vec<&'static str>,
) -> Json {
    let minute = 60_000;
    // The windows of the last minutes close in one go when the log is through.
    let length = (minutes - 2) * minute;
    let mut early = 0;
    for kill in 0..kills {
        let target = START + i64::try_from((kill * length + chance.below(length)) / kills).unwrap();
        let when = match chance.below(4) {
            0 => When::Started(chance.below(1500)),
            1 => When::Moved(chance.below(50)),
            _ => When::Reached(target),
        };
        early += u64::from(!matches!(when, When::Reached(_)));
        let (arguments, victim) = (arguments(chance), chance.below(1 << 20));
        let reached = place.die(&arguments, when, victim);
        let reached = reached.map(|time| (time - START) / 1000);
        println!(
            "kill {kill}: {} {when:?}, victim {victim}, tables are as of {reached:?} s",
            arguments.join(" ")
        );
    }
    println!("{kills} kills, {early} of them at the beginning of a life");
    let arguments = arguments(chance);
    let told = place.live(&arguments);
    println!("the last life: {} {told}", arguments.join(" "));
    told
}

#[test]
fn killed_again_and_again_it_ends_with_what_an_undisturbed_run_has() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, postgres, redis) = (Server::kafka(), Server::postgres(), Server::redis());
    let minutes = 14 + kills() / 2;
    let size = log::Size { minutes, rate: 40 };
    let records = log::write(&log::producer(), folder.path(), &kafka.url(), &size);
    let log = log::read(&kafka.url(), records);
    let program = program::build("full_pipeline");
    let mut numbers = 0..;
    let mut place = |name: &str| {
        let url = postgres.url();
        let place = Place {
            program: program.clone(),
            folder: Path::new(folder.path()).to_owned(),
            kafka: kafka.url(),
            postgres: url.rsplit_once('/').unwrap().0.to_owned(),
            database: name.to_owned(),
            redis: format!("{}{}", redis.url(), numbers.next().unwrap()),
        };
        place.prepare();
        place
    };

    let undisturbed = place("undisturbed");
    let told = undisturbed.live(&["--workers", "1"]);
    let expected = state::read(&undisturbed.url(), &undisturbed.redis);
    let batch = batch::compute(&log, &time());
    assert_identity(&told, &batch);
    assert_is_batch(&expected, &batch);
    let fates = batch.fates;
    let some = [fates.late_applied, fates.too_late, fates.malformed, fates.from_future, fates.duplicate];
    assert!(some.iter().all(|count| *count > 0), "there is something of everything: {fates:?}");
    assert!(expected.tables.values().all(|rows| !rows.is_empty()) && expected.keys.len() > 12);
    println!("{} records, {} windows", fates.read, expected.tables["chat_summary_minute"].len());

    let mut chance = Chance(seed());
    let threads = place("threads");
    let told = disturbed(&threads, kills(), minutes, &mut chance, |chance| {
        vec!["--workers", ["1", "2", "3"][chance.below(3) as usize]]
    });
    assert_identity(&told, &batch);
    state::read(&threads.url(), &threads.redis).assert_is(&expected, "killed, with other workers");

    let processes = place("processes");
    let told = disturbed(&processes, kills().div_ceil(2), minutes, &mut chance, |_| {
        vec!["--processes", "2", "--workers", "1"]
    });
    assert_identity(&told, &batch);
    state::read(&processes.url(), &processes.redis).assert_is(&expected, "two processes, one killed");
}
