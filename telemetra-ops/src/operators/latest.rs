//! The newest summary of each key.

use differential_dataflow::AsCollection;
use telemetra_core::{Data, Key, WindowRules};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use crate::operators::stash::Stash;
use crate::operators::windows::Summaries;

/// Extends a collection of summaries by its current state: the newest summary of each key. It is implemented
/// for [`Summaries`](crate::Summaries).
///
/// # Contract
///
/// Of the caller:
///
/// * **The same windows.** `windows` are the rules by which the summaries were made, of tumbling or sliding
///   windows; it does not work for sessions, which have no fixed slide.
pub trait Latest: Sized {
    /// Returns, for each key that has events in the window that ended last, the summary of that window.
    ///
    /// A summary is added when its window ends, corrected when it is revised, and replaced when the key's
    /// next window ends. If the next window ends without any event of the key, the summary is removed, and
    /// the key is in the collection again when it has events. Revisions of older windows have no effect. At
    /// the end of the input the collection becomes empty.
    ///
    /// State: the summary of each key in the collection, shared with other operators, until it is removed.
    /// Work: proportional to the changes; nothing is exchanged between workers. There is no state in
    /// checkpoints: after a restart it is computed from the restored summaries.
    ///
    /// ```
    /// use std::time::Duration;
    /// use differential_dataflow::input::Input;
    /// use std::sync::Arc;
    /// use telemetra_core::{EventTime, Summary, TimeConfig, WindowSpec};
    /// use telemetra_ops::Latest;
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let time = TimeConfig { windows: WindowSpec::sliding(Duration::from_millis(20), Duration::from_millis(10))?, ..TimeConfig::default() };
    /// let rules = time.window_rules(0);
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, summaries) = scope.new_collection::<(String, Summary<u64>), isize>();
    ///         (input, summaries.latest(rules).inner.capture())
    ///     });
    ///     // Two windows in a row, then silence.
    ///     for (end, value) in [(20, 7), (30, 5)] {
    ///         let summary = Summary { window: rules.windows.window_ending(EventTime(end)), value: Arc::new(value) };
    ///         input.update_at(("a".to_owned(), summary), EventTime(end - 1), 1);
    ///     }
    ///     captured
    /// });
    /// let updates = captured.extract().into_iter().flat_map(|(_, updates)| updates);
    /// let values: Vec<_> = updates.map(|((_, summary), at, diff)| (at.0, *summary.value, diff)).collect();
    /// assert_eq!(values, [(19, 7, 1), (29, 7, -1), (29, 5, 1), (39, 5, -1)]);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    fn latest(self, windows: WindowRules) -> Self;
}

impl<K: Key, S: Data> Latest for Summaries<'_, K, S> {
    fn latest(self, windows: WindowRules) -> Self {
        let spec = windows.windows;
        let updates = self.inner.unary_frontier(Pipeline, "Latest", move |capability, _info| {
            drop(capability);
            let mut waiting = Stash::default();
            move |(summaries, frontier), output| {
                summaries.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    for (data, time, diff) in messages.flat_map(|message| message.drain(..)) {
                        let newest = spec.newest_during(data.1.window.end);
                        let from = time.max(newest.start);
                        // Each summary is added together with its later removal, so no state by key is
                        // needed: a summary that is removed in time cancels its removal too.
                        if from < newest.end {
                            waiting.add(&cap, (data.clone(), from, diff));
                            waiting.add(&cap, (data, newest.end, -diff));
                        }
                    }
                });
                while let Some((cap, updates)) = waiting.due(frontier) {
                    let time = *cap.time();
                    let updates = updates.into_iter().map(|(data, diff)| (data, time, diff));
                    output.session(&cap).give_iterator(updates);
                }
            }
        });
        updates.as_collection()
    }
}
