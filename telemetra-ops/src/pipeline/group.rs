//! Groupings: the aggregation of events by key in windows, with a table of summaries and rules for moments.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::AsCollection;
use telemetra_core::checkpoint::shape_of;
use telemetra_core::engine::{KeySessions, KeyState, KeyWindows, Placement, Segment, Segments, SessionRules};
use telemetra_core::{
    Accumulator, Aggregate, AnyDetector, ConfigError, Event, EventTime, Events, Key, Layout, Moment,
    MomentRule, SummaryRow, Table, TimeConfig, WindowRules, WindowSpec,
};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::operator::empty;

use crate::checkpoint::definition::OperatorDefinition;
use crate::operators::early::{KeySnapshot, early_results};
use crate::operators::moments::Moments;
use crate::operators::sessions::sessions;
use crate::operators::windows::windows_of;
use crate::pipeline::graph::Graph;
use crate::pipeline::group_graph::GroupGraph;
use crate::pipeline::group_state::GroupState;
use crate::pipeline::key_of::{KeyOf, check_key_names, key_names};
use crate::pipeline::plan::{LastPlan, OpenPlan, Plan};
use crate::pipeline::windows::{WindowKind, gcd};
use crate::read::group_fold::GroupFold;
use crate::read::partial::Partial;
use crate::read::plan::{Fold, FoldPlan};
use crate::read::pre_aggregate::{PreAggregateState, PreAggregates};

/// The default period over which moments are compared.
const CHANCE_PERIOD: Duration = Duration::from_secs(1800);

/// The output type of a grouping's aggregate: the value of each window, from which rules and operators read
/// their metrics. For several named parts it is a tuple of their outputs, in order: of
/// `(a.count("readings"), a.mean("celsius", …))` it is the pair of a `u64` and of the mean's output.
pub type OutputOf<E, A> = <<A as Aggregate<E>>::State as Accumulator>::Output;

/// A hook that adds operators to a grouping's graph.
type Extension<K, S> = Arc<dyn for<'scope> Fn(&GroupGraph<'scope, K, S>) + Send + Sync>;

/// The type parameter `L` of a [`Pipeline`](crate::Pipeline) whose last grouping is still being configured.
/// You do not use it directly: it has no public methods, the settings of a grouping are methods of the
/// pipeline, and [`finish_group`](crate::Pipeline::finish_group) removes it from the pipeline's type.
///
/// `E` are the events, `K` is the key, `A` the aggregate, and `F` the function that computes the key.
pub struct Group<E: Events, K: Key, A: Aggregate<E>, F> {
    pub(crate) table: String,
    pub(crate) key: Arc<F>,
    pub(crate) key_columns: Option<Vec<&'static str>>,
    pub(crate) windows: WindowKind,
    pub(crate) aggregate: Arc<A>,
    pub(crate) rules: Vec<MomentRule<OutputOf<E, A>>>,
    pub(crate) moments_table: Option<String>,
    pub(crate) summary_layout: Option<Layout<SummaryRow<K, OutputOf<E, A>>>>,
    pub(crate) moment_layout: Option<Layout<Moment<K>>>,
    /// The period over which its moments are compared.
    pub(crate) chance: Option<Duration>,
    pub(crate) extensions: Vec<Extension<K, OutputOf<E, A>>>,
    pub(crate) filter: Option<Filter<E>>,
    /// True if its summaries are written to its table.
    pub(crate) is_published: bool,
    pub(crate) state: GroupState<A::State>,
}

/// The condition on events of a grouping.
pub(crate) type Filter<E> = Arc<dyn for<'a> Fn(&<E as Events>::Of<'a>) -> bool + Send + Sync>;

impl<E: Events, K: Key, A: Aggregate<E>, F> fmt::Debug for Group<E, K, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("table", &self.table)
            .field("windows", &self.windows)
            .finish_non_exhaustive()
    }
}

impl<E: Events, K: Key, A: Aggregate<E>, F> Group<E, K, A, F> {
    pub(crate) fn new(table: &str, key: F, windows: WindowKind, aggregate: A) -> Self {
        Self {
            table: table.to_owned(),
            key: Arc::new(key),
            key_columns: None,
            windows,
            aggregate: Arc::new(aggregate),
            rules: Vec::new(),
            moments_table: None,
            summary_layout: None,
            moment_layout: None,
            chance: Some(CHANCE_PERIOD),
            extensions: Vec::new(),
            filter: None,
            is_published: true,
            state: GroupState::default(),
        }
    }

    /// Returns the name of its state in checkpoints.
    fn state_name(&self) -> &str {
        self.state.name.as_deref().unwrap_or(&self.table)
    }

    /// Returns the greatest number of samples that a rule's baseline has.
    fn samples(&self) -> u32 {
        self.rules.iter().map(MomentRule::max_samples).max().unwrap_or(0)
    }

    /// Returns the period over which its moments are compared; `None` if it has none.
    fn chance_period(&self) -> Option<Duration> {
        self.chance.filter(|_| !self.rules.is_empty())
    }

    /// Returns the layout of the table of summaries.
    fn summary_layout(&self) -> Layout<SummaryRow<K, OutputOf<E, A>>> {
        self.summary_layout.clone().unwrap_or_else(|| {
            let aggregate = Arc::clone(&self.aggregate);
            let columns = aggregate.columns();
            Layout::summaries(self.table.clone(), &self.key_names(), columns, move |output, window, put| {
                aggregate.values(output, window, put);
            })
        })
    }

    /// Returns the layout of the table of moments.
    fn moment_layout(&self) -> Layout<Moment<K>> {
        self.moment_layout.clone().unwrap_or_else(|| {
            let table = self.moments_table.clone().unwrap_or_else(|| format!("{}_moments", self.table));
            Layout::moments(table, &self.key_names())
        })
    }

    /// Returns the names of the key columns.
    fn key_names(&self) -> Vec<&'static str> {
        key_names(self.key_columns.as_deref(), K::KINDS.len())
    }

    fn rules_of(&self, time: &TimeConfig) -> Result<(WindowSpec, TimeConfig), ConfigError> {
        let windows = self.windows.spec(time)?;
        Ok((windows, TimeConfig { windows, ..time.clone() }))
    }
}

impl<E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> Plan<E> for Group<E, K, A, F> {
    fn state_name(&self) -> &str {
        self.state_name()
    }

    fn tables(&self) -> Vec<Arc<Table>> {
        let mut tables = Vec::new();
        if self.is_published {
            tables.push(Arc::clone(self.summary_layout().table()));
        }
        if !self.rules.is_empty() || self.moment_layout.is_some() {
            tables.push(Arc::clone(self.moment_layout().table()));
        }
        tables
    }

    fn pane(&self, time: &TimeConfig) -> Result<Option<u64>, ConfigError> {
        let slide = self.windows.spec(time)?.slide();
        Ok(Some(self.windows.early_every()?.map_or(slide, |every| gcd(slide, every))))
    }

    fn check(&self, time: &TimeConfig) -> Result<(), ConfigError> {
        let (_, time) = self.rules_of(time)?;
        time.check(self.samples())?;
        self.aggregate.check()?;
        check_key_names(&self.table, self.key_columns.as_deref(), K::KINDS.len())?;
        if self.windows.gap().is_some() && !self.rules.is_empty() {
            let detail =
                format!("`{}` groups by sessions, and rules compare windows of one length", self.table);
            return Err(ConfigError::new(
                "rules",
                detail,
                "add a grouping by tumbling or sliding windows for them",
            ));
        }
        if let Some(period) = self.chance_period()
            && period.as_millis() < u128::from(time.windows.slide())
        {
            return Err(ConfigError::new(
                "chance_period",
                format!("no pane of {} ms fits into a period of {period:?}", time.windows.slide()),
                "make it longer, 30 minutes or so, or leave chance out by `without_chance`",
            ));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if self.rules[..index].iter().any(|other| other.moment_type == rule.moment_type) {
                let detail = format!("two rules make moments of the type `{}`", rule.moment_type);
                return Err(ConfigError::new("rules", detail, "give each a type of its own"));
            }
        }
        Ok(())
    }

    fn fingerprint(&self, time: &TimeConfig) -> String {
        // The state of a detector means nothing to a detector of another kind.
        let rules = self.rules.iter().map(|rule| match &rule.detector {
            detector if AnyDetector::is_pure(detector) => rule.moment_type.to_string(),
            detector => format!("{} by {}", rule.moment_type, detector.method()),
        });
        let rules: Vec<_> = rules.collect();
        let windows = self.windows.spec(time).map(|spec| (spec.size(), spec.slide()));
        let (size, slide) = windows.unwrap_or_default();
        let early = self.windows.early_every().ok().flatten();
        format!(
            "`{}` of {} by {} in windows of {size} every {slide}{}{} with rules {rules:?}{}",
            self.table,
            std::any::type_name::<A::State>(),
            std::any::type_name::<K>(),
            self.windows.gap().map(|gap| format!(" of sessions with gaps of {gap}")).unwrap_or_default(),
            early.map(|every| format!(" and early every {every}")).unwrap_or_default(),
            self.chance_period().map(|period| format!(" compared over {period:?}")).unwrap_or_default(),
        )
    }

    fn begin<'scope>(&self, time: &TimeConfig) -> Box<dyn OpenPlan<'scope, E> + 'scope> {
        let (windows, time) = self.rules_of(time).unwrap_or((time.windows, time.clone()));
        Box::new(OpenGroup {
            name: self.state_name().to_owned(),
            state: self.state.clone(),
            panes: windows,
            gap: self.windows.gap(),
            early: self.windows.early_every().ok().flatten(),
            windows: time.window_rules(self.samples()),
            key: Arc::clone(&self.key),
            aggregate: Arc::clone(&self.aggregate),
            rules: self.rules.clone().into(),
            chance: self.chance_period(),
            layouts: (self.summary_layout(), self.moment_layout()),
            extensions: self.extensions.clone(),
            filter: self.filter.clone(),
            is_published: self.is_published,
            partials: Partials::None,
        })
    }
}

impl<E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> LastPlan<E> for Group<E, K, A, F> {
    fn finish(self) -> Option<Box<dyn Plan<E>>> {
        Some(Box::new(self))
    }
}

/// A grouping that a worker is building.
struct OpenGroup<'scope, E: Events, K: Key, A: Aggregate<E>, F> {
    name: String,
    state: GroupState<A::State>,
    panes: WindowSpec,
    gap: Option<u64>,
    early: Option<u64>,
    windows: WindowRules,
    key: Arc<F>,
    aggregate: Arc<A>,
    rules: Arc<[MomentRule<OutputOf<E, A>>]>,
    chance: Option<Duration>,
    layouts: (Layout<SummaryRow<K, OutputOf<E, A>>>, Layout<Moment<K>>),
    extensions: Vec<Extension<K, OutputOf<E, A>>>,
    filter: Option<Filter<E>>,
    is_published: bool,
    partials: Partials<'scope, K, A::State>,
}

/// The stream of partials that ingest produces for the grouping, for sliding windows or for sessions.
enum Partials<'scope, K: Key, A: Accumulator> {
    None,
    Panes(StreamVec<'scope, EventTime, Partial<K, A>>),
    Runs(StreamVec<'scope, EventTime, Partial<K, Segments<A>>>, u64),
}

impl<'scope, E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> FoldPlan<'scope, E>
    for OpenGroup<'scope, E, K, A, F>
{
    fn name(&self) -> &str {
        &self.name
    }

    fn definition(&self) -> OperatorDefinition {
        let (size, slide) = (self.panes.size(), self.panes.slide());
        let (shape, settings) = match self.gap {
            Some(gap) => (
                shape_of::<Vec<PreAggregateState<K, Segments<A::State>>>>(),
                format!("sessions with gaps of {gap} ms"),
            ),
            None => (
                shape_of::<Vec<PreAggregateState<K, A::State>>>(),
                format!("windows of {size} ms every {slide} ms"),
            ),
        };
        OperatorDefinition { version: self.state.version, shape, settings, ..OperatorDefinition::default() }
    }

    fn migrates(&self, from: u32) -> bool {
        self.state.migrations.contains_key(&from)
    }

    fn attach(&mut self, builder: &mut OperatorBuilder<'scope, EventTime>) -> Box<dyn Fold<E>> {
        let (key, aggregate) = (Arc::clone(&self.key), Arc::clone(&self.aggregate));
        let filter = self.filter.clone();
        let is_left_out = move |event: &E::Of<'_>| filter.as_ref().is_some_and(|keeps| !keeps(event));
        if let Some(gap) = self.gap {
            let (output, stream) = builder.new_output();
            self.partials = Partials::Runs(stream, gap);
            let add = move |folded: &mut PreAggregates<K, Segments<A::State>>,
                            event: &E::Of<'_>,
                            placement: &Placement| {
                if is_left_out(event) {
                    return;
                }
                let time = event.time();
                key.with(event, |key| {
                    aggregate.add(folded.accumulator(key, time, placement).accumulator(time, gap), event);
                });
            };
            return Box::new(GroupFold::<E, K, Segments<A::State>, _>::new(
                self.panes,
                output,
                self.state.of(|of, _| Segments::migration(of)),
                add,
            ));
        }
        let (output, stream) = builder.new_output();
        self.partials = Partials::Panes(stream);
        let add = move |folded: &mut PreAggregates<K, A::State>, event: &E::Of<'_>, placement: &Placement| {
            if is_left_out(event) {
                return;
            }
            key.with(event, |key| aggregate.add(folded.accumulator(key, event.time(), placement), event));
        };
        Box::new(GroupFold::<E, K, A::State, _>::new(
            self.panes,
            output,
            self.state.of(|of, _| of.clone()),
            add,
        ))
    }
}

impl<'scope, E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> OpenPlan<'scope, E>
    for OpenGroup<'scope, E, K, A, F>
{
    fn build(self: Box<Self>, graph: &Graph<'scope>) {
        let (context, windows) = (graph.context(), self.windows);
        let name = format!("windows {}", self.name);
        let early_name = format!("early {}", self.name);
        let mut early = empty(graph.scope()).as_collection();
        let summaries = match self.partials {
            Partials::None => return,
            Partials::Panes(partials) => {
                if let Some(every) = self.early {
                    // The operator of early results keeps no summaries of closed windows, so its horizon is
                    // zero.
                    let rules = WindowRules { horizon: 0, ..windows };
                    let versions = self.state.of(|of, output| {
                        KeySnapshot::<K, KeyWindows<_>>::migration(&KeyState::migration(of, output), output)
                    });
                    let names = (&*early_name, &*name);
                    early = early_results(partials.clone(), rules, every, versions, names, context);
                }
                windows_of(partials, windows, self.state.of(KeyState::migration), &name, context)
            }
            Partials::Runs(runs, gap) => {
                let rules = SessionRules { gap, panes: windows.windows, horizon: windows.horizon };
                if let Some(every) = self.early {
                    let versions = self.state.of(|of, output| {
                        let sessions = Segment::migration(of).of_list();
                        KeySnapshot::<K, KeySessions<_>>::migration(&sessions, output)
                    });
                    let names = (&*early_name, &*name);
                    early = early_results(runs.clone(), rules, every, versions, names, context);
                }
                let versions = self.state.of(|of, _| Segment::migration(of).of_list());
                sessions(runs, rules, versions, &name, context)
            }
        };
        let moments = if self.rules.is_empty() {
            empty(graph.scope()).as_collection()
        } else {
            let (name, rules) = (format!("moments {}", self.name), Arc::clone(&self.rules));
            match self.chance {
                None => summaries.clone().moments(windows, rules, &name, context),
                Some(period) => {
                    let found = summaries.clone().find_moments(windows, rules, &name, context);
                    found.with_chance(period, &format!("chance {}", self.name), context)
                }
            }
        };
        let published =
            if self.early.is_some() { summaries.clone().concat(early.clone()) } else { summaries.clone() };
        let rows = published.map(|(key, summary)| SummaryRow { key, summary });
        let (summary_layout, moment_layout) = self.layouts;
        if self.is_published {
            graph.publish_within(&summary_layout, rows, windows.horizon);
        }
        if !self.rules.is_empty() {
            graph.publish_within(&moment_layout, moments.clone(), windows.horizon);
        }
        let graph = graph.with_horizon(windows.horizon);
        let group = GroupGraph { graph, windows, summaries, early, moments };
        self.extensions.iter().for_each(|extension| extension(&group));
    }
}
