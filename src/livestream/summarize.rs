//! The accumulator and the aggregate that summarise a stream's events in a window, and the default rules.
//!
//! The accumulator consists of the public parts of [`aggregate`](crate::core::aggregate) alone. Most panes of
//! most streams have only an event or two, so transactions, which are rare, take eight bytes until there is
//! one.

mod explain;
mod rules;
mod totals;

use serde::{Deserialize, Serialize};

pub(crate) use rules::OFF_AIR;
pub use rules::default_rules;
use totals::{Totals, Transactions};

use crate::core::aggregate::{AccumulatorOf, DistinctSliding, Monotonic};
use crate::core::{Accumulate, Accumulator, Aggregates, Distinct, Max, Sliding, SubtractOnEvict, TopK};
use crate::livestream::{ChatMessage, Event, LiveEvents, StreamSummary, Transaction, ViewerCount};

/// The default accumulator of one stream: it takes events and finishes to a [`StreamSummary`].
///
/// ```
/// use telemetra::core::{Accumulate, Accumulator, EventTime};
/// use telemetra::livestream::{Event, Header, StreamAccumulator, ViewerCount};
/// let header = Header { event_id: "1", time: EventTime(0), stream_id: "a" };
/// let mut pane = StreamAccumulator::default();
/// for viewer_count in [100, 200] {
///     let count = ViewerCount { header, viewer_count, unique_viewers: None, peak_viewers: None };
///     pane.add(&Event::Viewer(count));
/// }
/// let summary = pane.finish();
/// assert_eq!((summary.avg_viewers(), summary.peak_viewers), (Some(150.0), Some(200)));
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StreamAccumulator {
    totals: Totals,
    peak_viewers: Max<u64>,
    chatters: Distinct,
    emotes: TopK<10>,
    transactions: Option<Box<Transactions>>,
}

impl StreamAccumulator {
    fn chat(&mut self, chat: &ChatMessage<'_>) {
        self.totals.add_chat(chat.sentiment);
        self.chatters.add(chat.user_id);
        chat.emotes.iter().for_each(|&emote| self.emotes.add(emote));
    }

    fn viewer(&mut self, viewer: &ViewerCount<'_>) {
        self.totals.add_viewers(viewer.viewer_count);
        self.peak_viewers.add(viewer.viewer_count);
    }

    fn transaction(&mut self, transaction: &Transaction<'_>) {
        self.transactions.get_or_insert_default().add(transaction);
    }
}

impl Accumulator for StreamAccumulator {
    type Output = StreamSummary;
    type Sliding = StreamSliding;

    fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        self.peak_viewers.merge(&other.peak_viewers);
        self.chatters.merge(&other.chatters);
        self.emotes.merge(&other.emotes);
        if let Some(theirs) = &other.transactions {
            self.transactions.get_or_insert_default().merge(theirs);
        }
    }

    fn finish(&self) -> StreamSummary {
        let mut summary = StreamSummary {
            unique_chatters: self.chatters.finish(),
            top_emotes: self.emotes.finish(),
            peak_viewers: self.peak_viewers.finish(),
            ..StreamSummary::default()
        };
        self.totals.write(&mut summary);
        if let Some(transactions) = &self.transactions {
            transactions.write(&mut summary);
        }
        summary
    }
}

impl<'e, 'a> Accumulate<&'e Event<'a>> for StreamAccumulator {
    fn add(&mut self, event: &'e Event<'a>) {
        match event {
            Event::Chat(chat) => self.chat(chat),
            Event::Viewer(viewer) => self.viewer(viewer),
            Event::Transaction(transaction) => self.transaction(transaction),
            Event::Meta(_) => {}
        }
    }
}

/// The default aggregate of a stream: it fills a [`StreamAccumulator`] and names the columns of its
/// [`StreamSummary`].
///
/// ```
/// use telemetra::core::Aggregate;
/// use telemetra::livestream::{LiveEvents, StreamSummary, chat_aggregate};
/// assert_eq!(Aggregate::<LiveEvents>::columns(&chat_aggregate()), StreamSummary::columns());
/// ```
#[must_use]
pub fn chat_aggregate() -> AccumulatorOf<StreamAccumulator> {
    Aggregates::<LiveEvents>::new().accumulator(StreamSummary::columns(), StreamSummary::values)
}

/// The sliding form of [`StreamAccumulator`]: the sliding forms of its parts. The cost of a slide depends on
/// the contents of the entering and the leaving pane, not on the window.
#[derive(Debug, Default)]
pub struct StreamSliding {
    totals: Totals,
    peak_viewers: Monotonic<u64>,
    chatters: DistinctSliding,
    emotes: SubtractOnEvict<TopK<10>>,
    transactions: Transactions,
}

impl Sliding<StreamAccumulator> for StreamSliding {
    fn push(&mut self, pane: &StreamAccumulator) {
        self.totals.merge(&pane.totals);
        self.peak_viewers.push(&pane.peak_viewers);
        self.chatters.push(&pane.chatters);
        self.emotes.push(&pane.emotes);
        if let Some(transactions) = &pane.transactions {
            self.transactions.merge(transactions);
        }
    }

    fn pop(&mut self, pane: &StreamAccumulator) {
        self.totals.subtract(&pane.totals);
        self.peak_viewers.pop(&pane.peak_viewers);
        self.chatters.pop(&pane.chatters);
        self.emotes.pop(&pane.emotes);
        if let Some(transactions) = &pane.transactions {
            self.transactions.subtract(transactions);
        }
    }

    fn finish(&self) -> StreamSummary {
        let mut summary = StreamSummary {
            unique_chatters: self.chatters.finish(),
            top_emotes: self.emotes.finish(),
            peak_viewers: Sliding::<Max<u64>>::finish(&self.peak_viewers),
            ..StreamSummary::default()
        };
        self.totals.write(&mut summary);
        self.transactions.write(&mut summary);
        summary
    }
}
