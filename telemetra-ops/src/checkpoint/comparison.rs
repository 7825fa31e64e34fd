//! The comparison of a checkpoint's definition with that of the pipeline which starts from it.

use telemetra_core::EventTime;

use crate::checkpoint::definition::{Definition, OperatorDefinition, RuleDefinition, Takeover};
use crate::support::restore_plan::{RestoreAction, RestorePlan, RestoreStep};

/// Compares what a checkpoint was made with, with what there is now. `taken` is what each operator makes of what it finds;
/// `feeds` are the tables that may depend on an operator.
pub(crate) fn compare(
    boundary: EventTime,
    (found, now): (&Definition, &Definition),
    taken: &[(String, Takeover<()>)],
    feeds: &dyn Fn(&str) -> Vec<String>,
) -> RestorePlan {
    let mut comparison = Comparison { boundary, found, now, feeds, steps: Vec::new(), changed: Vec::new() };
    let moves_times = comparison.settings();
    for (name, takeover) in taken {
        comparison.operator(name, takeover);
    }
    comparison.gone();
    let Comparison { mut steps, mut changed, .. } = comparison;
    steps.sort_by(|one, other| (one.action, &one.part).cmp(&(other.action, &other.part)));
    changed.sort();
    changed.dedup();
    RestorePlan { boundary, savepoint: None, steps, moves_times, changed_tables: changed }
}

/// A comparison of two definitions, as it goes.
struct Comparison<'a> {
    boundary: EventTime,
    found: &'a Definition,
    now: &'a Definition,
    feeds: &'a dyn Fn(&str) -> Vec<String>,
    steps: Vec<RestoreStep>,
    changed: Vec<String>,
}

impl Comparison<'_> {
    fn step(&mut self, part: impl Into<String>, action: RestoreAction, detail: impl Into<String>) {
        self.steps.push(RestoreStep { part: part.into(), action, detail: detail.into() });
    }

    fn change_tables_of(&mut self, operator: &str) {
        self.changed.extend((self.feeds)(operator));
    }

    fn change_all_tables(&mut self) {
        self.changed.extend(self.now.tables.iter().cloned());
    }

    /// Compares the settings of time and the decoders. Returns why results may take effect at other times, if they may.
    fn settings(&mut self) -> Option<String> {
        let (was, is) = (&self.found.time, &self.now.time);
        let mut moves = None;
        if is.lateness != was.lateness {
            let words = format!("{} ms instead of {} ms", is.lateness, was.lateness);
            let detail = if is.lateness > was.lateness {
                let whole = self.boundary.plus(is.lateness - was.lateness);
                let from = self.now.revisable_from;
                format!(
                    "{words}, whole from {whole} on: until then panes that ended before {from} cannot be revised"
                )
            } else {
                format!("{words}; what is later is too late from now on")
            };
            self.step("allowed lateness", RestoreAction::Changed, detail);
            self.change_all_tables();
        }
        if is.pane != was.pane {
            let words = format!("panes of {} ms instead of {} ms", is.pane, was.pane);
            moves = Some(words.clone());
            self.step("panes", RestoreAction::Changed, words);
        }
        let mut refused = Vec::new();
        if is.disorder != was.disorder {
            refused.push((format!("disorder {}", was.disorder), format!("disorder {}", is.disorder)));
        }
        if is.deduplicate != was.deduplicate {
            let words = |is| format!("deduplicate {is}");
            refused.push((words(was.deduplicate), words(is.deduplicate)));
        }
        let (found, now) = (&self.found.decoders, &self.now.decoders);
        if found != now {
            let differing = |one: &[String], other: &[String]| {
                one.iter().filter(|part| !other.contains(part)).cloned().collect::<Vec<_>>().join("; ")
            };
            refused.push((differing(found, now), differing(now, found)));
        }
        for (was, is) in refused {
            let detail = format!(
                "it was made with other settings ({was}; now {is}); use those, or start afresh with another store"
            );
            self.step("settings", RestoreAction::Refused, detail);
        }
        moves
    }

    /// Compares what an operator finds with what it writes.
    fn operator(&mut self, name: &str, takeover: &Takeover<()>) {
        let (Some(now), was) = (self.now.operators.get(name), self.found.operators.get(name)) else { return };
        match takeover {
            Takeover::Refused(why) => self.step(name, RestoreAction::Refused, why),
            Takeover::New => {
                self.change_tables_of(name);
                if !now.rules.is_empty() {
                    self.step(name, RestoreAction::Rebuilt, REBUILT);
                    return;
                }
                let detail = match name.split_once(' ') {
                    Some(("changes", _)) => format!("the table gets what changes from {} on", self.boundary),
                    _ => format!("from {} on; windows that began before are not whole", self.boundary),
                };
                self.step(name, RestoreAction::Starts, detail);
            }
            Takeover::Derived { from, .. } => {
                self.change_tables_of(name);
                self.step(name, RestoreAction::Rebuilt, format!("from the state of `{from}`"));
            }
            Takeover::Migrated { from, .. } => {
                self.change_tables_of(name);
                let detail = format!("from version {from} to version {}", now.version);
                self.step(name, RestoreAction::Migrated, detail);
            }
            Takeover::Reduced(_) => {
                self.change_tables_of(name);
                self.step(name, RestoreAction::Kept, "the rows have other columns");
            }
            Takeover::Same => {
                let detail = was.map(|was| self.reach(was, now)).unwrap_or_default();
                let action = if detail.is_empty() { RestoreAction::Kept } else { RestoreAction::Changed };
                self.step(name, action, detail);
            }
        }
        if let Some(was) = was {
            self.rules(name, was, now);
        }
    }

    /// Says from when on a longer horizon is whole.
    fn reach(&self, was: &OperatorDefinition, now: &OperatorDefinition) -> String {
        let words = || format!("it keeps {} ms instead of {} ms", now.reach, was.reach);
        match (was.reach, now.reach) {
            (was, is) if is > was => {
                format!("{}, whole from {} on", words(), self.boundary.plus(is - was))
            }
            (was, is) if is < was => format!("{}; what is older is dropped, its rows stay", words()),
            _ => String::new(),
        }
    }

    /// Compares the rules of a grouping.
    fn rules(&mut self, name: &str, was: &OperatorDefinition, now: &OperatorDefinition) {
        let same =
            |rule: &str, rules: &[RuleDefinition]| rules.iter().find(|other| other.name == rule).cloned();
        if was.rules != now.rules {
            self.change_tables_of(name);
        }
        if !was.rules.iter().chain(&now.rules).all(|rule| rule.details > 0) {
            return;
        }
        for rule in &now.rules {
            let part = || format!("rule `{}` of {name}", rule.name);
            match same(&rule.name, &was.rules) {
                None => self.step(part(), RestoreAction::Rebuilt, REBUILT),
                Some(old) if old.details != rule.details => {
                    let detail = format!(
                        "{} instead of {}: {REBUILT}; the moments that were found are kept",
                        rule.method, old.method
                    );
                    self.step(part(), RestoreAction::Rebuilt, detail);
                }
                Some(_) => {}
            }
        }
        for rule in was.rules.iter().filter(|rule| same(&rule.name, &now.rules).is_none()) {
            let part = format!("rule `{}` of {name}", rule.name);
            self.step(part, RestoreAction::Dropped, "the rows of its moments stay as they are");
        }
    }

    /// Names the operators that are not there any more.
    fn gone(&mut self) {
        let gone = self.found.operators.keys().filter(|name| !self.now.operators.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.step(
                name,
                RestoreAction::Dropped,
                "no operator has that name any more; the rows that it made stay",
            );
        }
    }
}

/// The consequence of a change for a rule without state.
const REBUILT: &str =
    "its baselines are made from the summaries in the checkpoint, and it judges what ends after it";
