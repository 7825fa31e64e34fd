//! The answers under test, by the operators and by definition.

use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate_updates;
use telemetra::core::*;
use telemetra::differential_dataflow;
use telemetra::ops::testkit::spec;
use telemetra::ops::{Enrich, Latest, Summaries, Top};

use crate::support::*;

pub(crate) type Rows<'scope> = VecCollection<'scope, EventTime, (String, u64), isize>;
pub(crate) type Answers<'scope> = VecCollection<'scope, EventTime, Answer, isize>;

/// All that is computed here, in one collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Latest(String, Summary<Out>),
    Ranked(Ranked<String>),
    Enriched(String, Summary<Out>, Option<u64>),
    /// Of all summaries, and not only the newest.
    OfAll(Box<Self>),
}

pub(crate) fn count(out: &Out) -> i64 {
    out.0 as i64
}

pub(crate) fn longest(out: &Out) -> Option<i64> {
    out.2.map(|longest| longest as i64)
}

pub(crate) fn fast<'scope>(
    summaries: Summaries<'scope, String, Out>,
    streams: Rows<'scope>,
    rules: WindowRules,
) -> Answers<'scope> {
    let latest = summaries.clone().latest(rules);
    let boards = latest.clone().top(2, "busiest", count).concat(latest.clone().top(9, "longest", longest));
    let enriched = latest.clone().enrich(streams.clone());
    let of_all = summaries.clone().top(3, "all", count).map(Answer::Ranked);
    let of_all = of_all.concat(summaries.enrich(streams).map(of_enriched));
    of_all
        .map(|answer| Answer::OfAll(Box::new(answer)))
        .concat(latest.map(|(key, summary)| Answer::Latest(key, summary)))
        .concatenate([boards.map(Answer::Ranked), enriched.map(of_enriched)])
}

pub(crate) fn plain<'scope>(
    summaries: Summaries<'scope, String, Out>,
    streams: Rows<'scope>,
    clock: VecCollection<'scope, EventTime, EventTime, isize>,
) -> Answers<'scope> {
    let latest = spec::latest(summaries.clone(), clock);
    let boards = spec::top(latest.clone(), 2, "busiest", count).concat(spec::top(
        latest.clone(),
        9,
        "longest",
        longest,
    ));
    let enriched = spec::enrich(latest.clone(), streams.clone());
    let of_all = spec::top(summaries.clone(), 3, "all", count).map(Answer::Ranked);
    let of_all = of_all.concat(spec::enrich(summaries, streams).map(of_enriched));
    of_all
        .map(|answer| Answer::OfAll(Box::new(answer)))
        .concat(latest.map(|(key, summary)| Answer::Latest(key, summary)))
        .concatenate([boards.map(Answer::Ranked), enriched.map(of_enriched)])
}

pub(crate) fn of_enriched((key, (summary, row)): (String, (Summary<Out>, Option<u64>))) -> Answer {
    Answer::Enriched(key, summary, row)
}

/// A change of the answers.
pub(crate) type Said = (Answer, EventTime, isize);

pub(crate) fn consolidated(mut updates: Vec<Said>) -> Vec<Said> {
    consolidate_updates(&mut updates);
    updates
}

/// The boundaries from `first` to `last`, each held from its last instant to that of the next.
pub(crate) fn ticks(
    spec: WindowSpec,
    first: EventTime,
    last: EventTime,
) -> Vec<(EventTime, EventTime, isize)> {
    let mut ticks = Vec::new();
    let mut boundary = first;
    while boundary < last {
        let newest = spec.newest_during(boundary);
        ticks.extend([(boundary, newest.start, 1), (boundary, newest.end, -1)]);
        boundary = boundary.plus(spec.slide());
    }
    ticks
}
