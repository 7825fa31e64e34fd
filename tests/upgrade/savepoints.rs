//! Savepoints: checkpoints under names, and starts from them.

use std::time::Duration;

use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::ops::{Drain, LastPlan, Pipeline, RestoreAction, Savepoints, tumbling};

use crate::lives::{Lives, records, rows, time, undisturbed, window_end};
use crate::support::Saying;
use crate::support::watch::{chain, finish, until};

const TEN: Duration = Duration::from_millis(10);

fn one(pipeline: Pipeline<Saying>) -> Pipeline<Saying, impl LastPlan<Saying>> {
    pipeline.group("sayings", tumbling(TEN), |a| a.count("sayings"))
}

fn two(pipeline: Pipeline<Saying>) -> Pipeline<Saying, impl LastPlan<Saying>> {
    let user = |saying: &Saying| saying.user.clone();
    let users = pipeline.group_by("users", user, tumbling(TEN), |a| a.count("sayings"));
    users.group("sayings", tumbling(TEN), |a| a.count("sayings"))
}

/// A run that takes a savepoint when a part of its input is read, and is drained when more of it is.
fn with_savepoint(lives: &Lives, records: &[String]) -> EventTime {
    let mut source = MemorySource::default().records_per_poll(20);
    let partition = source.handle("p");
    let running = one(lives.pipeline_from(source)).start().unwrap();
    let (first, second) = records.split_at(records.len() / 3);
    first.iter().for_each(|record| partition.append(record.as_str()));
    let savepoint = running.savepoint("before-0.3").unwrap();
    assert_eq!(savepoint.name, "before-0.3");
    let twice = chain(&running.savepoint("before-0.3").unwrap_err());
    assert!(twice.contains("there is a savepoint `before-0.3` already"), "{twice}");
    let second = &second[..records.len() / 3];
    second.iter().for_each(|record| partition.append(record.as_str()));
    until("all is read", || running.fates().read == 2 * (records.len() / 3) as u64);
    running.drain(Drain::KeepWindows).unwrap();
    assert!(lives.boundary() > savepoint.boundary);
    savepoint.boundary
}

fn savepoints(lives: &Lives) -> Savepoints<Directory> {
    Savepoints::new(Directory::new(lives.folder.path()))
}

#[test]
fn a_savepoint_outlives_later_checkpoints_until_it_is_removed() {
    let (records, lives) = (records(0..300), Lives::default());
    let boundary = with_savepoint(&lives, &records);
    let listed = savepoints(&lives).list().unwrap();
    assert_eq!(
        listed.iter().map(|one| (&*one.name, one.boundary)).collect::<Vec<_>>(),
        [("before-0.3", boundary)]
    );
    let newest = savepoints(&lives).take("of-a-stopped-one").unwrap().unwrap();
    assert_eq!(newest.boundary, lives.boundary());
    assert_eq!(savepoints(&lives).list().unwrap().len(), 2);
    for name in ["before-0.3", "of-a-stopped-one"] {
        savepoints(&lives).remove(name).unwrap();
    }
    assert_eq!(savepoints(&lives).list().unwrap(), []);
    assert!(lives.stored().iter().all(|(name, _)| !name.starts_with("savepoints")));
    let none = one(lives.pipeline(&records, true)).from_savepoint("before-0.3").start().unwrap_err();
    assert!(chain(&none).contains("there is no savepoint `before-0.3`"), "{}", chain(&none));
    // The newest checkpoint is not touched by that.
    lives.last(&records, one);
    assert_eq!(rows(&lives.sink, "sayings"), rows(&undisturbed(&time(), &records, one), "sayings"));
}

#[test]
fn a_start_from_a_savepoint_goes_back_once_and_on_from_there_when_it_is_started_again() {
    let (records, lives) = (records(0..300), Lives::default());
    let boundary = with_savepoint(&lives, &records);
    let newer = lives.boundary();
    let plan =
        one(lives.pipeline(&records, true)).from_savepoint("before-0.3").check_restore().unwrap().unwrap();
    assert_eq!((plan.boundary, plan.savepoint.as_deref()), (boundary, Some("before-0.3")));
    assert!(
        plan.to_string().starts_with(&format!("from the savepoint `before-0.3` of {boundary}\n")),
        "{plan}"
    );
    assert_eq!(lives.boundary(), newer, "the check removes nothing");

    let from = |pipeline: Pipeline<Saying>| one(pipeline).from_savepoint("before-0.3");
    let report = lives.first(&records[..records.len() - 100], from);
    assert_eq!(report.restored.unwrap().boundary, boundary);
    let latest = lives.boundary();
    assert!(latest > boundary, "the savepoint is left behind");
    let report = lives.last(&records, from);
    let plan = report.restored.unwrap();
    assert_eq!((plan.boundary, plan.savepoint), (latest, None));
    assert_eq!(rows(&lives.sink, "sayings"), rows(&undisturbed(&time(), &records, one), "sayings"));
}

#[test]
fn an_added_grouping_gets_its_rows_from_a_savepoint_on_that_sinks_are_ahead_of() {
    let (records, lives) = (records(0..300), Lives::default());
    let boundary = with_savepoint(&lives, &records);
    assert!(lives.sink.durable().unwrap() > boundary.plus(50));
    let running = two(lives.pipeline(&records, true)).from_savepoint("before-0.3").start().unwrap();
    let plan = finish(running).unwrap().restored.unwrap();
    assert!(
        plan.steps.iter().any(|step| (&*step.part, step.action) == ("windows users", RestoreAction::Starts))
    );
    let always = undisturbed(&time(), &records, two);
    assert_eq!(rows(&lives.sink, "sayings"), rows(&always, "sayings"));
    let whole = |sink| {
        let mut rows = rows(sink, "users");
        rows.retain(|row| window_end(row) > boundary.plus(30));
        rows
    };
    assert_eq!(whole(&lives.sink), whole(&always));
    assert!(whole(&always).len() > 20);
}

#[test]
fn other_panes_are_refused_where_a_sink_is_ahead() {
    let (records, lives) = (records(0..300), Lives::default());
    with_savepoint(&lives, &records);
    let held = lives.sink.rows();
    let finer = |pipeline| two(pipeline).group("finer", tumbling(TEN / 2), |a| a.count("sayings"));
    let error = finer(lives.pipeline(&records, true)).from_savepoint("before-0.3").start().unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("panes of 5 ms instead of 10 ms") && text.contains("drain it with its windows kept"),
        "{text}"
    );
    assert_eq!(lives.sink.rows(), held);
    // From the last checkpoint of a run that was drained, no sink is ahead.
    let plan = lives.last(&records, finer).restored;
    assert!(plan.is_some());
    let always = undisturbed(&time(), &records, finer);
    assert_eq!(rows(&lives.sink, "sayings"), rows(&always, "sayings"));
}
