//! The result of a simulation, and the checks on it.

use std::collections::{BTreeMap, BTreeSet};

use telemetra_core::{Batch, Change, Fate, Fates};

use crate::testkit::world::script::{Draft, Planned, Script};
use crate::testkit::world::shared::Findings;
use crate::testkit::world::sink::Durable;
use crate::testkit::world::source::name_of;

/// The result of a simulation of one seed: counts, and the contents of the sinks at its end, as
/// [`World::ends_with`](super::World::ends_with) checks it.
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Deserialize, Serialize};
/// # use telemetra_core::{Event, EventId, EventTime, SerdeJson, TimeConfig, WindowSpec};
/// # use telemetra_ops::WindowKind;
/// # use telemetra_ops::testkit::world::{Draft, World};
/// # #[derive(Debug, Deserialize, Serialize)]
/// # struct Reading { device: String, time: u64, id: u64 }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { EventTime(self.time) }
/// #     fn key(&self) -> &str { &self.device }
/// #     fn id(&self) -> Option<EventId> { Some(EventId::of(&self.id.to_string())) }
/// # }
/// # let time = TimeConfig { windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10))?, out_of_orderness: Duration::from_millis(15), allowed_lateness: Duration::from_millis(40), ..TimeConfig::default() };
/// # let encode = |draft: &Draft| format!(r#"{{"device":"d{}","time":{},"id":{}}}"#, draft.key, draft.time.0, draft.id).into_bytes();
///
/// use std::collections::BTreeSet;
/// use telemetra_core::SummaryRow;
///
/// let world = World::new(time, encode, |run| {
///     let pipeline = run.pipeline::<Reading>(SerdeJson::new());
///     pipeline.group("readings", WindowKind::default(), |a| a.count("readings")).start()
/// });
/// // Each key that has an event that counts has a row, and no other key has one.
/// let world = world.ends_with(|outcome| {
///     let wanted: BTreeSet<_> = outcome.counted.iter().map(|draft| format!("d{}", draft.key)).collect();
///     let rows = outcome.rows_of::<SummaryRow<String, u64>>();
///     let found: BTreeSet<_> = rows.into_iter().map(|row| row.key).collect();
///     if found == wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}")) }
/// });
/// let outcome = world.run(3).map_err(|violation| violation.to_string())?;
/// assert_eq!(outcome.seed, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The seed of the script.
    pub seed: u64,
    /// The number of events by fate, over all runs.
    pub fates: Fates,
    /// The drafts of all events that were counted, so of all records but dead letters, in the order of
    /// partitions and offsets.
    pub counted: Vec<Draft>,
    /// The rows of all tables at the end, sorted by table and key.
    pub rows: Vec<Change>,
    /// The batches that the first sink has made durable, in order, without those in which nothing changed.
    pub batches: Vec<Batch>,
    /// The bytes of all records of each partition.
    pub records: Vec<Vec<Vec<u8>>>,
    /// The number of runs that the process needed, restarts included.
    pub runs: usize,
    /// True if fates and batches are the same whenever this seed is run. They are not where partitions are
    /// created later or become silent, as it depends on timing when that is noticed; then only the final
    /// tables are the same.
    pub is_settled: bool,
}

impl Outcome {
    /// Returns the rows of type `R`, sorted by table and key. Rows of other types are left out.
    #[must_use]
    pub fn rows_of<R: Clone + 'static>(&self) -> Vec<R> {
        self.rows.iter().filter_map(|change| change.row::<R>().cloned()).collect()
    }

    pub(super) fn new(
        (seed, script, runs): (u64, &Script, usize),
        fates: Fates,
        sink: &Durable,
        records: Vec<Vec<Vec<u8>>>,
    ) -> Self {
        let mut counted = Vec::new();
        for (partition, one) in script.partitions.iter().enumerate() {
            for (offset, planned) in one.planned.iter().enumerate() {
                if let Planned::Event(draft) | Planned::Future(draft) = planned
                    && !sink.letters.contains_key(&(name_of(partition), offset as u64, 0))
                {
                    counted.push(draft.clone());
                }
            }
        }
        Self {
            seed,
            fates,
            counted,
            rows: sink.rows.values().cloned().collect(),
            batches: sink.log.clone(),
            records,
            runs,
            is_settled: script.is_settled(),
        }
    }
}

/// Checks that one sink holds the letters that follow from the script and the fates.
pub(super) fn check_letters(script: &Script, fates: Fates, sink: &Durable, findings: &Findings) {
    if fates.read != script.events() {
        findings.add(format!("{} records were written, {} events read", script.events(), fates.read));
    }
    let mut by_fate: BTreeMap<Fate, u64> = BTreeMap::new();
    for ((partition, offset, _), letter) in &sink.letters {
        *by_fate.entry(letter.fate).or_default() += 1;
        let number = script.partitions.iter().enumerate().find(|(number, _)| name_of(*number) == *partition);
        let planned = number.and_then(|(_, one)| one.planned.get(usize::try_from(*offset).ok()?));
        let fits = match planned {
            None => false,
            Some(Planned::Malformed) => letter.fate == Fate::Malformed,
            Some(Planned::Future(_)) => letter.fate == Fate::FromFuture,
            Some(Planned::Event(_)) => matches!(letter.fate, Fate::TooLate | Fate::Duplicate),
        };
        if !fits {
            findings.add(format!("{partition} {offset} is {planned:?} and is called {}", letter.fate));
        }
    }
    for fate in Fate::ALL.into_iter().filter(|fate| !fate.is_counted()) {
        let letters = by_fate.get(&fate).copied().unwrap_or(0);
        if letters != fates.of(fate) {
            findings.add(format!("{} events are {fate}, a sink has {letters} of them", fates.of(fate)));
        }
    }
}

/// No event was counted twice in a partition.
pub(super) fn check_ids(outcome: &Outcome, findings: &Findings) {
    let mut seen = BTreeSet::new();
    for draft in &outcome.counted {
        if !seen.insert(draft) {
            findings.add(format!("counted twice: {draft:?}"));
        }
    }
}

/// It is what an undisturbed run comes to.
pub(super) fn compare(found: &Outcome, wanted: &Outcome, findings: &Findings) {
    if found.is_settled && found.fates != wanted.fates {
        findings.add(format!("fates are {:?}, undisturbed {:?}", found.fates, wanted.fates));
    }
    if found.is_settled && found.counted != wanted.counted {
        findings.add("other events were counted than in an undisturbed run");
    }
    let is_settled = found.is_settled;
    let alike = |found: &Change, wanted: &Change| match is_settled {
        true => found == wanted,
        false => found.row.equals(&*wanted.row),
    };
    let (mut one, mut other) = (found.rows.iter().peekable(), wanted.rows.iter().peekable());
    loop {
        let order = match (one.peek(), other.peek()) {
            (None, None) => break,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (Some(found), Some(wanted)) => {
                found.table().cmp(wanted.table()).then_with(|| found.row.compare_key(&*wanted.row))
            }
        };
        match order {
            std::cmp::Ordering::Less => {
                findings.add(format!("a row that should not be: {:?}", one.next()));
            }
            std::cmp::Ordering::Greater => findings.add(format!("a row is lost: {:?}", other.next())),
            std::cmp::Ordering::Equal => {
                let (found_row, wanted_row) = (one.next(), other.next());
                if let (Some(row), Some(right)) = (found_row, wanted_row)
                    && !alike(row, right)
                {
                    findings.add(format!("a row is wrong: {row:?}, not {right:?}"));
                }
            }
        }
    }
    if !found.is_settled {
        return;
    }
    let first = found.batches.iter().zip(&wanted.batches).find(|(found, wanted)| found != wanted);
    if let Some((found, wanted)) = first {
        findings.add(format!("a batch is {found:?}, undisturbed {wanted:?}"));
    } else if found.batches.len() != wanted.batches.len() {
        findings.add(format!("{} batches, undisturbed {}", found.batches.len(), wanted.batches.len()));
    }
}
