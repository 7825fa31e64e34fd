//! The folds of plans: what they send by when, and what they keep.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use telemetra_core::checkpoint::Migration;
use telemetra_core::engine::Placement;
use telemetra_core::{Accumulate, Accumulator, Count, Event, EventTime, Fate, WindowSpec};
use timely::ExchangeData;
use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::capture::{Capture, Event as Captured};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::definition::{Definition, OperatorDefinition, StateVersions, Takeover};
use crate::read::group_fold::{CollectFold, GroupFold};
use crate::read::partial::Partial;
use crate::read::plan::{Fold, FoldPlan, delayed, ingest_name, takeover};
use crate::read::pre_aggregate::PreAggregates;
use crate::read::scripted::Word;

/// Runs `work` in an operator with a fold, and returns what that has sent, by time.
fn sent<D, F>(
    fold: impl FnOnce(Output<EventTime, Vec<D>>) -> F + Send + 'static,
    work: impl FnOnce(&mut F, &mut Capability<EventTime>) + Send + 'static,
) -> Vec<(EventTime, Vec<D>)>
where
    D: ExchangeData,
    F: Fold<Word> + 'static,
{
    let given = Mutex::new(Some((fold, work)));
    let captured = timely::execute_directly(move |worker| {
        let (fold, work) = given.lock().unwrap().take().unwrap();
        worker.dataflow::<EventTime, _, _>(|scope| {
            let mut builder = OperatorBuilder::new("Fold".to_owned(), scope);
            let (output, stream) = builder.new_output();
            let mut fold = fold(output);
            builder.build(move |capabilities| {
                let mut given = capabilities.into_iter().next().map(|cap| (cap, work));
                move |_| {
                    if let Some((mut cap, work)) = given.take() {
                        work(&mut fold, &mut cap);
                    }
                }
            });
            stream.capture()
        })
    });
    let messages = |event| match event {
        Captured::Messages(stamp, sent) => Some((stamp.into_elements().pop()?, sent)),
        Captured::Progress(_) => None,
    };
    captured.into_iter().filter_map(messages).collect()
}

type Partials = Output<EventTime, Vec<Partial<String, Count>>>;
type Counts = GroupFold<Word, String, Count, fn(&mut PreAggregates<String, Count>, &Word, &Placement)>;

/// Counts by key; state of version 3 had counts by tens.
fn counts(output: Partials) -> Counts {
    let ten = |tens: u64| {
        let mut count = Count::default();
        (0..tens * 10).for_each(|_| count.add(()));
        count
    };
    let versions = StateVersions { version: 4, migrations: BTreeMap::from([(3, Migration::new(ten))]) };
    let panes = WindowSpec::tumbling(Duration::from_millis(10)).unwrap();
    GroupFold::new(panes, output, versions, |folded, event, placement| {
        folded.accumulator(event.key(), event.time(), placement).add(());
    })
}

fn picked(output: Output<EventTime, Vec<String>>) -> CollectFold<Word, String, fn(&Word) -> Option<String>> {
    CollectFold::new(output, |event: &Word| (event.key != "none").then(|| event.key.clone()))
}

/// Events by key, and with what fate they take effect before when.
fn add(fold: &mut dyn Fold<Word>, events: &[(&str, u64, Fate, u64)]) {
    let words = events.iter().map(|(key, time, ..)| Word {
        key: (*key).to_owned(),
        time: EventTime(*time),
        id: None,
    });
    let placements = events.iter().map(|(_, time, fate, end)| Placement {
        fate: *fate,
        pane: EventTime(time / 10 * 10),
        effective_end: EventTime(*end),
    });
    fold.add(&words.collect::<Vec<_>>(), &placements.collect::<Vec<_>>());
}

const EVENTS: [(&str, u64, Fate, u64); 6] = [
    ("a", 35, Fate::OnTime, 40),
    ("b", 12, Fate::TooLate, 20),
    ("a", 36, Fate::OnTime, 40),
    ("a", 22, Fate::LateApplied, 40),
    ("none", 5, Fate::OnTime, 10),
    ("b", 47, Fate::OnTime, 50),
];

fn plain(sent: Vec<(EventTime, Vec<Partial<String, Count>>)>) -> Vec<(u64, Vec<(String, u64, u64)>)> {
    let plain = |partial: Partial<String, Count>| (partial.key, partial.pane.0, partial.accumulator.finish());
    sent.into_iter().map(|(time, partials)| (time.0, partials.into_iter().map(plain).collect())).collect()
}

fn of(key: &str, pane: u64, count: u64) -> (String, u64, u64) {
    (key.to_owned(), pane, count)
}

#[test]
fn a_group_sends_counted_events_once_at_their_effective_times() {
    let sent = sent(counts, |fold, cap| {
        add(fold, &EVENTS);
        fold.send(EventTime(39), cap);
        add(fold, &EVENTS[..1]);
        fold.send(EventTime(40), cap);
        fold.send(EventTime(40), cap);
    });
    let expected = [(9, vec![of("none", 0, 1)]), (39, vec![of("a", 30, 3), of("a", 20, 1)])];
    assert_eq!(plain(sent), expected);
}

#[test]
fn a_group_takes_in_what_workers_have_kept_of_this_version_or_an_earlier_one() {
    let sent = sent(counts, |fold, cap| {
        add(fold, &EVENTS);
        let kept = fold.snapshot().unwrap();
        for _ in 0..2 {
            fold.restore(&kept, None).unwrap();
        }
        fold.restore(&kept, Some(4)).unwrap();
        let earlier = vec![(EventTime(50), vec![(("b".to_owned(), EventTime(40)), 7_u64)])];
        fold.restore(&bincode::serialize(&earlier).unwrap(), Some(3)).unwrap();
        assert!(fold.restore(b"no state", None).is_err());
        fold.send(EventTime::MAX, cap);
    });
    let expected = [
        (9, vec![of("none", 0, 4)]),
        (39, vec![of("a", 30, 8), of("a", 20, 4)]),
        (49, vec![of("b", 40, 74)]),
    ];
    assert_eq!(plain(sent), expected);
}

#[test]
fn picked_values_are_sent_once_at_their_effective_times() {
    let sent = sent(picked, |fold, cap| {
        add(fold, &EVENTS);
        fold.send(EventTime(39), cap);
        fold.send(EventTime(40), cap);
        fold.send(EventTime(40), cap);
        cap.downgrade(&EventTime(60));
        fold.send(EventTime(60), cap);
    });
    let a = || vec!["a".to_owned(); 3];
    assert_eq!(sent, [(EventTime(39), a()), (EventTime(60), vec!["b".to_owned()])]);
}

#[test]
fn picked_values_are_taken_in_in_the_order_of_reading() {
    let sent = sent(picked, |fold, cap| {
        add(fold, &[("a", 35, Fate::OnTime, 40)]);
        let kept = fold.snapshot().unwrap();
        add(fold, &[("b", 36, Fate::OnTime, 40)]);
        fold.restore(&kept, None).unwrap();
        assert!(fold.restore(b"no", None).is_err());
        fold.send(EventTime(40), cap);
    });
    assert_eq!(sent, [(EventTime(39), ["a", "b", "a"].map(str::to_owned).to_vec())]);
}

/// A plan that has only a name and a definition.
struct Plan(OperatorDefinition);

impl<'scope> FoldPlan<'scope, Word> for Plan {
    fn name(&self) -> &str {
        "devices"
    }

    fn definition(&self) -> OperatorDefinition {
        self.0.clone()
    }

    fn migrates(&self, from: u32) -> bool {
        from == 3
    }

    fn attach(&mut self, _: &mut OperatorBuilder<'scope, EventTime>) -> Box<dyn Fold<Word>> {
        unreachable!("nobody reads")
    }
}

#[test]
fn a_plan_takes_over_what_a_checkpoint_has_under_its_name() {
    let version = |version| OperatorDefinition { version, ..OperatorDefinition::default() };
    assert_eq!(ingest_name("devices"), "ingest devices");
    let found = |name: &str, was: OperatorDefinition| Definition {
        operators: [(name.to_owned(), was)].into(),
        ..Definition::default()
    };
    let taken = |found: Option<&Definition>| takeover::<Word>(found, &Plan(version(4)));
    let (name, definition, takeover) = taken(Some(&found("ingest devices", version(4))));
    assert_eq!((&*name, definition), ("ingest devices", version(4)));
    assert!(matches!(takeover, Takeover::Same));
    let migrated = taken(Some(&found("ingest devices", version(3)))).2;
    assert!(matches!(migrated, Takeover::Migrated { from: 3, .. }));
    assert!(matches!(taken(Some(&found("ingest devices", version(2)))).2, Takeover::Refused(_)));
    assert!(matches!(taken(Some(&found("devices", version(4)))).2, Takeover::New));
}

#[test]
fn a_capability_does_not_go_back() {
    sent(picked, |_, cap| {
        cap.downgrade(&EventTime(20));
        for (time, expected) in [(10, 20), (20, 20), (30, 30)] {
            assert_eq!(*delayed(cap, EventTime(time)).time(), EventTime(expected));
        }
    });
}
