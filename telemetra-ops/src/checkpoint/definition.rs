//! The definition of a pipeline as its checkpoints hold it: what state there is, by names and versions of the user's choosing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::Migration;
use telemetra_core::engine::millis;
use telemetra_core::{EventTime, MomentRule, TimeConfig};

/// The definition of a pipeline that its state was made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) time: TimeDefinition,
    /// The identities of the decoders, as far as state depends on them.
    pub(crate) decoders: Vec<String>,
    /// By name.
    pub(crate) operators: BTreeMap<String, OperatorDefinition>,
    pub(crate) tables: BTreeSet<String>,
    /// A pane that ended before this time cannot be revised: an earlier version did not keep what that takes.
    pub(crate) revisable_from: EventTime,
    /// The savepoint that the pipeline was started from, if it was.
    pub(crate) savepoint: Option<String>,
}

/// The settings of time that state depends on, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimeDefinition {
    pub(crate) lateness: u64,
    pub(crate) disorder: u64,
    pub(crate) horizon: Option<u64>,
    pub(crate) deduplicate: bool,
    pub(crate) pane: u64,
}

impl TimeDefinition {
    pub(crate) fn of(time: &TimeConfig, pane: u64) -> Self {
        Self {
            lateness: millis::of(time.allowed_lateness),
            disorder: millis::of(time.out_of_orderness),
            horizon: time.horizon.map(millis::of),
            deduplicate: time.deduplicate,
            pane,
        }
    }
}

/// The state of one operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorDefinition {
    pub(crate) version: u32,
    /// The types and settings that its encoding depends on.
    pub(crate) shape: String,
    /// The settings with which the state cannot be read as anything else: the windows of a grouping.
    pub(crate) settings: String,
    /// The period of which it keeps what can be restored, in milliseconds of event time; 0 if that is of no interest.
    pub(crate) reach: u64,
    /// The rules of a grouping, in their order.
    pub(crate) rules: Vec<RuleDefinition>,
}

/// A rule, as far as its state goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleDefinition {
    /// The type of its moments.
    pub(crate) name: String,
    /// The detection method and its threshold, for people.
    pub(crate) method: String,
    /// A hash of all settings of its detectors.
    pub(crate) details: u64,
}

/// The version of a state, and the migrations from earlier ones.
#[derive(Clone, Debug)]
pub(crate) struct StateVersions<T> {
    pub(crate) version: u32,
    pub(crate) migrations: BTreeMap<u32, Migration<T>>,
}

impl<T> Default for StateVersions<T> {
    fn default() -> Self {
        Self { version: 0, migrations: BTreeMap::new() }
    }
}

impl RuleDefinition {
    /// A rule whose name alone matters.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn of<S>(rule: &MomentRule<S>) -> Self {
        let MomentRule { moment_type, detector, own, scale, missing, excludes_moments, absent_after, .. } =
            rule;
        let all = format!("{detector:?} {own:?} {scale} {missing:?} {excludes_moments} {absent_after:?}");
        Self {
            name: moment_type.to_string(),
            method: format!("{} at {}", detector.method(), detector.threshold()),
            details: telemetra_core::key_hash(&*all),
        }
    }

    pub(crate) fn all<S>(rules: &[MomentRule<S>]) -> Vec<Self> {
        rules.iter().map(Self::of).collect()
    }
}

/// The way in which an operator takes over the state that a checkpoint has under its name.
pub(crate) enum Takeover<S> {
    /// There is none.
    New,
    /// There is none, but another operator's can be read as one.
    Derived { from: String, migration: Migration<S> },
    /// It is what this operator writes.
    Same,
    /// It was written by an earlier version of the user's.
    Migrated { from: u32, migration: Migration<S> },
    /// Its shape depends on types that changed, but what matters of it does not.
    Reduced(Migration<S>),
    /// It cannot be read.
    Refused(String),
}

/// The migrations that an operator has: from a version, from the state of another operator, and from the same state with
/// types that have changed.
pub(crate) struct Migrations<'a, S> {
    pub(crate) from: &'a dyn Fn(u32) -> Option<Migration<S>>,
    pub(crate) derived: Option<(String, Migration<S>)>,
    pub(crate) reduced: Option<Migration<S>>,
}

impl<S> Takeover<S> {
    /// Compares what a checkpoint has with what an operator writes now.
    pub(crate) fn of(
        found: Option<&Definition>,
        name: &str,
        now: &OperatorDefinition,
        migrations: Migrations<'_, S>,
    ) -> Self {
        // A checkpoint that knows no definitions is used with unchanged settings only.
        let Some(found) = found else { return Self::Same };
        let Some(was) = found.operators.get(name) else {
            return match migrations.derived {
                Some((from, migration)) if found.operators.contains_key(&from) => {
                    Self::Derived { from, migration }
                }
                _ => Self::New,
            };
        };
        if was.settings != now.settings {
            return Self::Refused(format!(
                "it was made with {}, and is now made with {}; state cannot be turned from one into the other: use \
                 those again, or give the state another name, so that it starts empty, from the checkpoint on",
                was.settings, now.settings
            ));
        }
        if was.version != now.version {
            return match (migrations.from)(was.version) {
                Some(migration) => Self::Migrated { from: was.version, migration },
                None => Self::Refused(format!(
                    "found version {} of its state, expected version {}, and there is no migration from {} to {}; \
                     give one, or give the state another name, so that it starts empty, from the checkpoint on",
                    was.version, now.version, was.version, now.version
                )),
            };
        }
        if was.shape != now.shape {
            return match migrations.reduced {
                Some(migration) => Self::Reduced(migration),
                None => Self::Refused(format!(
                    "its state has another shape, found version {} of `{}`, expected version {} of `{}`; state a new \
                     version and a migration from version {}, or give the state another name, so that it starts \
                     empty, from the checkpoint on",
                    was.version, was.shape, now.version, now.shape, was.version
                )),
            };
        }
        Self::Same
    }

    /// The takeover, without what it takes.
    pub(crate) fn kind(&self) -> Takeover<()> {
        match self {
            Self::New => Takeover::New,
            Self::Derived { from, .. } => {
                Takeover::Derived { from: from.clone(), migration: Migration::unchanged() }
            }
            Self::Same => Takeover::Same,
            Self::Migrated { from, .. } => {
                Takeover::Migrated { from: *from, migration: Migration::unchanged() }
            }
            Self::Reduced(_) => Takeover::Reduced(Migration::unchanged()),
            Self::Refused(why) => Takeover::Refused(why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(version: u32, shape: &str, settings: &str) -> OperatorDefinition {
        let (shape, settings) = (shape.to_owned(), settings.to_owned());
        OperatorDefinition { version, shape, settings, ..OperatorDefinition::default() }
    }

    fn takeover(was: &OperatorDefinition, now: &OperatorDefinition, migrates_from: u32) -> Takeover<u64> {
        let found = Definition {
            operators: BTreeMap::from([("windows a".to_owned(), was.clone())]),
            ..Definition::default()
        };
        let from = |version| (version == migrates_from).then(Migration::unchanged);
        let migrations = Migrations { from: &from, derived: None, reduced: None };
        Takeover::of(Some(&found), "windows a", now, migrations)
    }

    #[test]
    fn a_refusal_names_the_versions_and_the_cure() {
        let (v0, v1) = (definition(0, "(u64)", "minutes"), definition(1, "(u64 u64)", "minutes"));
        assert!(matches!(takeover(&v0, &v0, 9), Takeover::Same));
        assert!(matches!(takeover(&v0, &v1, 0), Takeover::Migrated { from: 0, .. }));
        let Takeover::Refused(why) = takeover(&v0, &v1, 9) else { panic!("there is no migration") };
        assert!(why.contains("found version 0 of its state, expected version 1"), "{why}");
        let Takeover::Refused(why) = takeover(&v0, &definition(0, "(u64 u64)", "minutes"), 0) else {
            panic!("the shape differs and the version does not")
        };
        assert!(why.contains("`(u64)`, expected version 0 of `(u64 u64)`; state a new version"), "{why}");
        let Takeover::Refused(why) = takeover(&v0, &definition(1, "(u64)", "hours"), 0) else {
            panic!("other windows")
        };
        assert!(why.contains("made with minutes, and is now made with hours"), "{why}");
    }

    #[test]
    fn state_without_a_predecessor_is_new_or_made_of_what_another_operator_has() {
        let now = definition(0, "(u64)", "minutes");
        let found = |name: &str| Definition {
            operators: BTreeMap::from([(name.to_owned(), now.clone())]),
            ..Definition::default()
        };
        let takeover = |found: Option<&Definition>| {
            let derived = Some(("windows b".to_owned(), Migration::<u64>::unchanged()));
            let migrations = Migrations { from: &|_| None, derived, reduced: None };
            Takeover::of(found, "windows a", &now, migrations)
        };
        assert!(matches!(takeover(Some(&found("windows c"))), Takeover::New));
        let other = takeover(Some(&found("windows b")));
        assert!(matches!(&other, Takeover::Derived { from, .. } if from == "windows b"));
        assert!(matches!(other.kind(), Takeover::Derived { from, .. } if from == "windows b"));
        assert!(matches!(takeover(Some(&found("windows a"))), Takeover::Same), "it has its own");
        assert!(matches!(takeover(None), Takeover::Same), "such checkpoints are compared as a whole");
    }

    #[test]
    fn state_of_another_shape_is_reduced_where_that_can_be() {
        let (was, now) = (definition(0, "(u64)", "minutes"), definition(0, "(u64 u64)", "minutes"));
        let found = Definition {
            operators: BTreeMap::from([("windows a".to_owned(), was)]),
            ..Definition::default()
        };
        let reduced = Some(Migration::<u64>::unchanged());
        let migrations = Migrations { from: &|_| None, derived: None, reduced };
        let takeover = Takeover::of(Some(&found), "windows a", &now, migrations);
        assert!(matches!(takeover, Takeover::Reduced(_)));
        assert!(matches!(takeover.kind(), Takeover::Reduced(_)));
    }

    #[test]
    fn a_rule_differs_from_one_with_any_other_setting() {
        let rule = |threshold: f64| {
            let detector = telemetra_core::ZScore::new(threshold).expect("a threshold that can be");
            MomentRule::count("spike", detector, |count: &u64| *count)
        };
        let [one, same, other] = [3.0, 3.0, 4.0].map(|threshold| RuleDefinition::of(&rule(threshold)));
        assert_eq!(one, same);
        assert_eq!(one.name, "spike");
        assert_ne!(one.details, other.details);
        assert!(one.method.ends_with(" at 3") && other.method.ends_with(" at 4"), "{}", one.method);
        assert_eq!(RuleDefinition::all(&[rule(3.0), rule(4.0)]), [one, other]);
        let named = RuleDefinition::named("spike");
        assert_eq!((&*named.name, named.details), ("spike", 0));
    }
}
