//! State by names and versions of the user's choosing: types that moved, and state whose shape changed.

use telemetra::core::aggregate::{CountOf, ExtremeOf, Greatest};
use telemetra::core::checkpoint::Migration;
use telemetra::core::*;
use telemetra::ops::{
    Group, KeyedProcess, LastPlan, OwnKey, Pipeline, PipelineError, ProcessByKey, RestoreAction,
    RestoreError, tumbling,
};

use crate::lives::{self, Lives, records, rows, time, undisturbed};
use crate::support::Saying;
use crate::support::watch::chain;

/// Types of equal shape in two modules, as if the second were the first after a move.
macro_rules! module {
    ($name:ident, $total:ident, $tactic:ident) => {
        pub mod $name {
            use serde::{Deserialize, Serialize};
            use telemetra::core::*;

            #[derive(Clone, Debug, Default, Serialize, Deserialize)]
            pub struct $total {
                words: u64,
            }

            impl Accumulator for $total {
                type Output = u64;
                type Sliding = TwoStacks<Self>;

                fn merge(&mut self, other: &Self) {
                    self.words += other.words;
                }

                fn finish(&self) -> u64 {
                    self.words
                }
            }

            impl<'e> Accumulate<&'e crate::support::Saying> for $total {
                fn add(&mut self, saying: &'e crate::support::Saying) {
                    self.words += saying.message.len() as u64;
                }
            }
        }
    };
}

module!(before, Total, Totals);
module!(after, Letters, Counts);

fn letters<A>(pipeline: Pipeline<Saying>) -> Pipeline<Saying, impl LastPlan<Saying>>
where
    A: Accumulator<Output = u64> + for<'e> Accumulate<&'e Saying>,
{
    pipeline.group("letters", tumbling(std::time::Duration::from_millis(10)), |a| {
        let columns = vec![Column::new("letters", ColumnKind::Integer)];
        a.accumulator::<A>(columns, |letters, _, put| put(Value::Unsigned(*letters)))
    })
}

#[test]
fn a_type_that_moved_to_another_module_under_another_name_is_restored() {
    let (records, lives) = (records(0..200), Lives::default());
    lives.first(&records[..records.len() / 2], letters::<before::Total>);
    let report = lives.last(&records, letters::<after::Letters>);
    let plan = report.restored.unwrap();
    assert!(plan.is_unchanged(), "{plan}");
    let expected = undisturbed(&time(), &records, letters::<before::Total>);
    assert_eq!(rows(&lives.sink, "letters"), rows(&expected, "letters"));
    assert!(rows(&expected, "letters").len() > 50);
}

/// Counts sayings, and from version 1 on knows the longest too.
fn count(pipeline: Pipeline<Saying>) -> Pipeline<Saying, impl LastPlan<Saying>> {
    pipeline.group("counted", MINUTE, |a| (a.count("sayings"),))
}

const MINUTE: telemetra::ops::WindowKind = tumbling(std::time::Duration::from_millis(10));

fn count_and_longest(
    migrates: bool,
    version: u32,
) -> impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying, Group<Saying, String, Both, OwnKey>> {
    move |pipeline| {
        let make = |a: Aggregates<Saying>| {
            let longest: fn(&Saying) -> u64 = |saying| saying.message.len() as u64;
            (a.count("sayings"), a.max("longest", longest))
        };
        let pipeline = pipeline.group("counted", MINUTE, make).state_version(version);
        if !migrates {
            return pipeline;
        }
        let state = Migration::new(|(sayings,): (Count,)| (sayings, Max::default()));
        let output = Migration::new(|(sayings,): (u64,)| (sayings, None));
        pipeline.migrate_state(0, state, output)
    }
}

type Both = (CountOf, ExtremeOf<fn(&Saying) -> u64, u64, Greatest>);

#[test]
fn an_added_field_is_refused_without_a_migration_before_anything_is_written() {
    let (records, lives) = (records(0..100), Lives::default());
    lives.first(&records, count);
    let (stored, held) = (lives.stored(), lives.sink.rows());
    for (version, words) in [
        (0, ["windows counted: its state has another shape, found version 0 of", "expected version 0 of"]),
        (
            1,
            ["windows counted: found version 0 of its state, expected version 1", "no migration from 0 to 1"],
        ),
    ] {
        let error = lives.start(&records, count_and_longest(false, version)).unwrap_err();
        let text = chain(&error);
        let PipelineError::Restore(RestoreError::Refused(plan)) = error else { panic!("{text}") };
        assert!(!plan.is_possible() && plan.refusals().count() == 2, "{plan}");
        assert!(words.iter().all(|words| text.contains(words)), "{text}");
        assert!(text.contains("give the state another name, so that it starts empty"), "{text}");
    }
    assert_eq!(lives.stored(), stored);
    assert_eq!(lives.sink.rows(), held);
}

#[test]
fn an_added_field_is_migrated_and_the_rows_are_those_of_a_run_that_always_had_it() {
    let (records, lives) = (records(0..300), Lives::default());
    lives.first(&records[..records.len() / 2], count);
    let boundary = lives.boundary();
    let report = lives.last(&records, count_and_longest(true, 1));
    let plan = report.restored.unwrap();
    let migrated = plan.steps.iter().filter(|step| step.action == RestoreAction::Migrated);
    let parts: Vec<_> = migrated.map(|step| (&*step.part, &*step.detail)).collect();
    let detail = "from version 0 to version 1";
    assert_eq!(parts, [("ingest counted", detail), ("windows counted", detail)]);

    let always = undisturbed(&time(), &records, count_and_longest(false, 0));
    let never = undisturbed(&time(), &records, count);
    let (found, always, never) = [&lives.sink, &always, &never].map(|sink| rows(sink, "counted")).into();
    assert_eq!(found.len(), always.len());
    let (mut whole, mut before) = (0, 0);
    for ((found, always), never) in found.iter().zip(&always).zip(&never) {
        let end = lives::window_end(found);
        if found == always {
            whole += 1;
        } else if end < boundary {
            // A window that had closed keeps the row that it had.
            before += 1;
            assert_eq!(found, never);
        } else {
            // One that was open counts all, and knows the longest of what came after.
            assert!(end <= boundary.plus(40), "{found} is not {always}");
        }
    }
    assert!(whole > 30 && before > 30, "{whole} and {before}");
}

/// The greatest length of each key's sayings, and from version 1 on how often it came.
struct Greatest0;
struct Greatest1 {
    migrates: bool,
}

fn key_of(saying: &(String, u64)) -> &str {
    &saying.0
}

impl KeyedProcess for Greatest0 {
    type In = (String, u64);
    type Key = String;
    type State = u64;
    type Out = (String, u64);

    fn key(arrival: &Self::In) -> &str {
        key_of(arrival)
    }

    fn process(&self, most: &mut u64, (key, n): Self::In, emit: &mut dyn FnMut(Self::Out, isize)) {
        if n > *most {
            if *most > 0 {
                emit((key.clone(), *most), -1);
            }
            *most = n;
            emit((key, n), 1);
        }
    }

    fn results(&self, key: &String, most: &u64, emit: &mut dyn FnMut(Self::Out)) {
        emit((key.clone(), *most));
    }
}

impl KeyedProcess for Greatest1 {
    type In = (String, u64);
    type Key = String;
    type State = (u64, u32);
    type Out = (String, u64);

    fn version(&self) -> u32 {
        1
    }

    fn migrate(&self, version: u32) -> Option<Migration<Self::State>> {
        (version == 0 && self.migrates).then(|| Migration::new(|most: u64| (most, 1)))
    }

    fn key(arrival: &Self::In) -> &str {
        key_of(arrival)
    }

    fn process(
        &self,
        (most, times): &mut Self::State,
        (key, n): Self::In,
        emit: &mut dyn FnMut(Self::Out, isize),
    ) {
        if n > *most {
            if *most > 0 {
                emit((key.clone(), *most), -1);
            }
            (*most, *times) = (n, 0);
            emit((key, n), 1);
        }
        *times += u32::from(n == *most);
    }

    fn results(&self, key: &String, (most, _): &Self::State, emit: &mut dyn FnMut(Self::Out)) {
        emit((key.clone(), *most));
    }
}

fn greatest<P: KeyedProcess<In = (String, u64), Out = (String, u64)>>(
    process: impl Fn() -> P + Send + Sync + 'static,
) -> impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying> {
    let table = Table::new("greatest")
        .key(Column::new("key", ColumnKind::Text))
        .column(Column::new("length", ColumnKind::Integer));
    let layout = Layout::new(table.clone(), |(key, length): &(String, u64), put| {
        put(Value::Text(key));
        put(Value::Unsigned(*length));
    });
    let pick = |saying: &Saying| Some((saying.key.clone(), saying.message.len() as u64));
    move |pipeline| {
        pipeline.table_of(table).collect("lengths", pick, move |graph, lengths| {
            graph.publish_as(&layout, lengths.process_by_key("greatest", graph.context(), process()));
        })
    }
}

#[test]
fn the_state_of_a_keyed_process_is_migrated_key_by_key_or_refused() {
    let (records, lives) = (records(0..200), Lives::default());
    lives.first(&records[..records.len() / 2], greatest(|| Greatest0));
    let error = lives.start(&records, greatest(|| Greatest1 { migrates: false })).unwrap_err();
    let text = chain(&error);
    assert!(text.contains("greatest: found version 0 of its state, expected version 1"), "{text}");
    lives.last(&records, greatest(|| Greatest1 { migrates: true }));
    let expected = undisturbed(&time(), &records, greatest(|| Greatest0));
    assert_eq!(rows(&lives.sink, "greatest"), rows(&expected, "greatest"));
    assert_eq!(rows(&expected, "greatest").len(), 3);
}

#[test]
fn a_checkpoint_without_a_definition_is_used_with_the_same_settings_and_refused_with_others() {
    let (records, lives) = (records(0..200), Lives::default());
    lives.first(&records[..records.len() / 2], letters::<before::Total>);
    let mut removed = 0;
    for (name, _) in lives.stored() {
        if name.ends_with("/definition") {
            std::fs::remove_file(lives.folder.path().join(name)).unwrap();
            removed += 1;
        }
    }
    assert_eq!(removed, 1, "one for the newest checkpoint");
    let text = chain(&lives.start(&records, letters::<after::Letters>).unwrap_err());
    assert!(
        text.contains("made with other settings (`letters` of upgrade::versions::before::Total"),
        "{text}"
    );
    assert!(text.contains("an earlier version of the library") && text.contains("use those once"), "{text}");
    lives.last(&records, letters::<before::Total>);
    let expected = undisturbed(&time(), &records, letters::<before::Total>);
    assert_eq!(rows(&lives.sink, "letters"), rows(&expected, "letters"));
    // Now there is one.
    let plan = letters::<after::Letters>(lives.pipeline(&records, true)).check_restore().unwrap().unwrap();
    assert!(plan.is_unchanged(), "{plan}");
}
