//! The estimation of chance: the share of moments as extreme as one that would be found without any anomaly,
//! by a comparison over all keys and rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::{AsCollection, VecCollection};
use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::{Comparison, ComparisonState, Level, Looks, millis};
use telemetra_core::{EventTime, Key, Micro, Moment, MomentId, WindowRules, key_hash};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

use crate::checkpoint::definition::{OperatorDefinition, RuleDefinition};
use crate::checkpoint::state::CheckpointContext;
use crate::observe::comparison::{MomentsGauge, MomentsStatus};
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
use crate::operators::moments::FoundMoments;
use crate::operators::restored_rules::RestoredRules;

impl<'scope, K: Key> FoundMoments<'scope, K> {
    /// Returns the moments with their [chance](Moment::chance): the share of false alarms that is expected
    /// among all moments of all keys and rules that ended in the same `period` of event time and are at least
    /// as extreme (the q-value of Benjamini and Hochberg). A chance of 0.05 means that one in twenty such
    /// moments is expected to be a false alarm. The state is part of the checkpoints of `context` under
    /// `name`, which is unique in the graph and the same from run to run.
    ///
    /// A pane is *settled* when no event within the allowed lateness can change its windows any more. When
    /// the pane in which a moment ended is settled, the chance of the moment is final: it is then estimated
    /// from the period that ends with this pane. Until then it is estimated from the period that was settled
    /// last. So a moment has at most one revision more than without chance.
    ///
    /// The chance is `None` before the first judged window is settled, and for moments of detectors whose
    /// [scores are not normal](telemetra_core::Tracker::normal_scores).
    ///
    /// Network: for each pane and rule, each worker sends to all others the number of judged windows and of
    /// moments by score: some tens of bytes. State: the counts of the panes of the period, and the moments
    /// that are not final. Work: for each pane with moments, the number of different scores in the period.
    ///
    /// ```
    /// use differential_dataflow::input::Input;
    /// use std::{sync::Arc, time::Duration};
    /// use telemetra_core::{EventTime, MomentRule, Summary, TimeConfig, WindowSpec, ZScore};
    /// use telemetra_ops::{CheckpointContext, Moments};
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let detector = ZScore::new(3.0)?.samples(8..=10)?;
    /// let rules = [MomentRule::count("spike", detector, |count: &u64| *count)];
    /// let windows = WindowSpec::tumbling(Duration::from_millis(10))?;
    /// let time = TimeConfig { windows, allowed_lateness: Duration::ZERO, ..TimeConfig::default() };
    /// let rules_of_windows = time.window_rules(10);
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, summaries) = scope.new_collection::<(String, Summary<u64>), isize>();
    ///         let context = CheckpointContext::none(scope);
    ///         let found = summaries.find_moments(rules_of_windows, rules.into(), "moments", &context);
    ///         let moments = found.with_chance(Duration::from_secs(1800), "chance", &context);
    ///         (input, moments.inner.capture())
    ///     });
    ///     let counts = [9, 11, 10, 10, 9, 11, 12, 8, 10, 9, 11, 10, 90, 10, 10];
    ///     for (n, count) in (1..).zip(counts) {
    ///         let window = windows.window_ending(EventTime(10 * n));
    ///         let summary = Summary { window, value: Arc::new(count) };
    ///         input.update_at(("a".to_owned(), summary), window.end.minus(1), 1);
    ///     }
    ///     captured
    /// });
    /// let mut updates: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    /// differential_dataflow::consolidation::consolidate_updates(&mut updates);
    /// let last = updates.iter().filter(|(.., diff)| *diff > 0).max_by_key(|(_, at, _)| *at).unwrap();
    /// // One moment of that score was found, where less than one in ten thousand is expected.
    /// assert!(last.0.chance.unwrap().to_f64() < 0.0001);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn with_chance(
        self,
        period: Duration,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> VecCollection<'scope, EventTime, Moment<K>, isize> {
        let scope = self.looks.scope();
        let peers = scope.peers() as u64;
        let looks = self.looks.flat_map(move |(pane, looks)| {
            (0..peers).map(move |to| ChanceInput::Looks { to, pane, looks: looks.clone() })
        });
        let period = millis::of(period);
        let tactic = ChanceTactic {
            windows: self.windows,
            types: self.types,
            comparison: Comparison::new(period, self.windows),
            inbox: Inbox::default(),
            live: BTreeMap::new(),
            open: BTreeMap::new(),
            recalled: BTreeMap::new(),
            restored: EventTime::MIN,
            places: None,
            settled: None,
            keeps: scope.index() == 0,
            name: name.to_owned(),
            gauge: Arc::clone(&context.moments),
            has_changed: false,
        };
        let inputs = self.moments.inner.map(ChanceInput::Moment).concat(looks);
        inputs.checkpointed(name, context, tactic).as_collection()
    }
}

/// An arrival: changes of the moments of this worker's keys, or the progress of settling on all workers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
enum ChanceInput<K: Key> {
    Moment((Moment<K>, EventTime, isize)),
    Looks { to: u64, pane: EventTime, looks: Looks },
}

/// The moments of one worker, and the comparison, which is the same on all.
struct ChanceTactic<K: Key> {
    windows: WindowRules,
    /// The types of moments, in the order of the rules.
    types: Vec<Arc<str>>,
    comparison: Comparison,
    inbox: Inbox<ChanceInput<K>>,
    /// The live moments, with the chance that was emitted.
    live: BTreeMap<MomentId, Stated<K>>,
    /// The moments whose last pane is not settled, by its end.
    open: BTreeMap<(EventTime, MomentId), Moment<K>>,
    /// The statements of an earlier run, until the moments are there again.
    recalled: BTreeMap<MomentId, Stated<K>>,
    /// Before this time moments were published before a restart.
    restored: EventTime,
    /// The rules of the restored comparison; `None` if they are these.
    places: Option<RestoredRules>,
    /// The newest pane of the restored comparison.
    settled: Option<EventTime>,
    /// True if this worker keeps the comparison in checkpoints.
    keeps: bool,
    name: String,
    gauge: Arc<MomentsGauge>,
    /// True if a pane has settled of which the gauge does not know.
    has_changed: bool,
}

/// The statement last made of a moment.
struct Stated<K> {
    key: K,
    chance: Option<Micro>,
}

impl<K: Key> ChanceTactic<K> {
    /// The rule that found a moment, and its score; `None` if it is not comparable.
    fn place(&self, moment: &Moment<K>) -> Option<(u16, Level)> {
        let rule = self.types.iter().position(|known| *known == moment.moment_type)?;
        Some((u16::try_from(rule).ok()?, moment.level()?))
    }

    /// States the final chance of the moments whose last pane is settled.
    fn settle(&mut self, boundary: EventTime, mut emit: impl FnMut(Moment<K>, isize)) {
        while let Some(oldest) = self.open.first_entry()
            && self.windows.settled_at(oldest.key().0) <= boundary
        {
            let ((_, id), moment) = oldest.remove_entry();
            let chance = self.place(&moment).map(|(rule, level)| self.comparison.chance(rule, level));
            let Some(stated) = self.live.get_mut(&id) else { continue };
            let before = std::mem::replace(&mut stated.chance, chance);
            if before != chance {
                emit(Moment { chance: before, ..moment.clone() }, -1);
                emit(Moment { chance, ..moment }, 1);
            }
        }
    }

    fn withdraw(&mut self, moment: Moment<K>) -> Moment<K> {
        let id = moment.id();
        self.open.remove(&(moment.last_at, id));
        let chance = self.live.remove(&id).and_then(|stated| stated.chance);
        Moment { chance, ..moment }
    }

    fn put(&mut self, moment: Moment<K>, time: EventTime) -> Moment<K> {
        let id = moment.id();
        let recalled = self.recalled.remove(&id).filter(|_| time < self.restored);
        let chance = match recalled {
            Some(stated) => stated.chance,
            None => self.place(&moment).and_then(|(rule, level)| self.comparison.provisional(rule, level)),
        };
        if moment.level().is_some() && self.windows.settled_at(moment.last_at) > time.plus(1) {
            self.open.insert((moment.last_at, id), moment.clone());
        }
        self.live.insert(id, Stated { key: moment.key.clone(), chance });
        Moment { chance, ..moment }
    }
}

impl<K: Key> Tactic for ChanceTactic<K> {
    type In = ChanceInput<K>;
    type Out = (Moment<K>, EventTime, isize);
    /// The comparison, from one worker, and what was stated of each live moment.
    type Snapshot = (Option<ComparisonState>, Vec<(K, MomentId, Option<Micro>)>);

    fn describe(&self) -> OperatorDefinition {
        let rules = self.types.iter().map(|name| RuleDefinition::named(name)).collect();
        OperatorDefinition { rules, ..OperatorDefinition::default() }
    }

    fn was(&mut self, found: &OperatorDefinition) {
        self.places = Some(RestoredRules::new(&found.rules, &self.describe().rules));
    }

    fn route(arrival: &Self::In) -> u64 {
        match arrival {
            ChanceInput::Moment((moment, ..)) => key_hash(&moment.key.as_ref()),
            ChanceInput::Looks { to, .. } => *to,
        }
    }

    fn time_of(arrival: &Self::In, stamp: EventTime) -> EventTime {
        match arrival {
            ChanceInput::Moment((_, time, _)) => *time,
            ChanceInput::Looks { .. } => stamp,
        }
    }

    fn take_in(&mut self, time: EventTime, arrival: Self::In) {
        self.inbox.push(time, arrival);
    }

    fn next(&self, _: bool) -> Option<EventTime> {
        self.inbox.next()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let (mut withdrawn, mut put, mut settles) = (Vec::new(), Vec::new(), false);
        self.comparison.advance(time.plus(1));
        for arrival in self.inbox.take(time) {
            match arrival {
                // With more allowed lateness, what was settled is not any more, and will be again.
                ChanceInput::Looks { pane, .. } if self.settled.is_some_and(|settled| pane <= settled) => {}
                ChanceInput::Looks { pane, looks, .. } => {
                    self.comparison.add(pane, &looks);
                    settles = true;
                }
                ChanceInput::Moment((moment, _, diff)) if diff < 0 => withdrawn.push(moment),
                ChanceInput::Moment((moment, ..)) => put.push(moment),
            }
        }
        if settles {
            self.has_changed = true;
            self.settle(time.plus(1), |moment, diff| emit((moment, time, diff)));
        }
        for moment in withdrawn {
            emit((self.withdraw(moment), time, -1));
        }
        for moment in put {
            emit((self.put(moment, time), time, 1));
        }
        if time >= self.restored {
            self.recalled.clear();
        }
    }

    fn end_of_turn(&mut self) {
        if std::mem::take(&mut self.has_changed) {
            let (expected, found) = self.comparison.per_hour();
            self.gauge.set(MomentsStatus {
                operator: self.name.clone(),
                until: self.comparison.newest(),
                found_per_hour: Micro::from_f64(found),
                expected_per_hour: Micro::from_f64(expected),
            });
        }
    }

    fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> {
        let comparison = self.keeps.then(|| self.comparison.state().clone());
        let stated = self.live.iter().map(|(id, stated)| (stated.key.clone(), *id, stated.chance));
        Ok((comparison, stated.collect()))
    }

    fn restore(
        &mut self,
        boundary: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        self.restored = boundary;
        for (comparison, stated) in snapshots {
            if let Some(comparison) = comparison {
                let place = |number: u16| match &self.places {
                    Some(places) => places.now(number.into()).and_then(|now| u16::try_from(now).ok()),
                    None => Some(number),
                };
                self.comparison.restore(comparison.arrange(place));
                self.settled = self.comparison.last();
            }
            let mine = stated.into_iter().filter(|(key, ..)| is_mine(key_hash(&key.as_ref())));
            self.recalled.extend(mine.map(|(key, id, chance)| (id, Stated { key, chance })));
        }
        Ok(())
    }
}
