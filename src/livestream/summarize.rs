//! The accumulator and the aggregate that summarise a stream's events in a window, and the default rules.
//!
//! The accumulator consists of the public parts of [`aggregate`](crate::core::aggregate) alone. Most panes of
//! most streams have only an event or two, so transactions, which are rare, take eight bytes until there is
//! one.

mod before;
mod explain;
mod rules;
mod totals;
mod words;

use serde::{Deserialize, Serialize};

pub use before::chat_migration;
pub(crate) use rules::OFF_AIR;
pub use rules::default_rules;
use totals::{Totals, Transactions, TransactionsSliding};
use words::{WordSample, WordSampleSliding, words_of};

use crate::core::aggregate::{Aggregate, Monotonic, Multiplicities, MultiplicitiesSliding, Multiplicity};
use crate::core::{Accumulate, Accumulator, Column, Max, Sliding, SubtractOnEvict, TopK, Value, Window};
use crate::livestream::{ChatMessage, Event, LiveEvents, StreamSummary, Transaction, ViewerCount};

/// The default accumulator of one stream and pane: it adds events, merges with others, and finishes to a
/// [`StreamSummary`].
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
    chatters: Multiplicities,
    emotes: TopK<10>,
    transactions: Option<Box<Transactions>>,
    words: Option<Box<WordSample>>,
}

impl StreamAccumulator {
    fn chat(&mut self, chat: &ChatMessage<'_>) {
        self.totals.add_chat(chat.sentiment);
        self.chatters.add(chat.user_id);
        chat.emotes.iter().for_each(|&emote| self.emotes.add(emote));
    }

    fn words(&mut self, chat: &ChatMessage<'_>) {
        let words = self.words.get_or_insert_default();
        words.offer(chat.header.event_id, || words_of(chat.message, chat.emotes));
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
        if let Some(theirs) = &other.words {
            self.words.get_or_insert_default().merge(theirs);
        }
    }

    fn finish(&self) -> StreamSummary {
        let Multiplicity { distinct, greatest } = self.chatters.finish();
        let mut summary = StreamSummary {
            unique_chatters: distinct,
            most_by_one: greatest,
            top_emotes: self.emotes.finish(),
            peak_viewers: self.peak_viewers.finish(),
            words: self.words.as_ref().and_then(|words| words::summary(&words.finish())),
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

/// Returns the default aggregate of a stream, for a grouping of a pipeline of your own: it fills a [`StreamAccumulator`]
/// and names the columns of its [`StreamSummary`]. [`pipeline`](super::pipeline()) has it already.
///
/// The state of a grouping with this aggregate has the [version](crate::ops::Pipeline::state_version) 1;
/// [`chat_migration`] reads checkpoints of version 0.
///
/// ```
/// use telemetra::core::Aggregate;
/// use telemetra::livestream::{LiveEvents, StreamSummary, chat_aggregate};
/// assert_eq!(Aggregate::<LiveEvents>::columns(&chat_aggregate()), StreamSummary::columns());
/// ```
#[must_use]
pub fn chat_aggregate() -> ChatAggregate {
    ChatAggregate::default()
}

/// The aggregate that [`chat_aggregate`] returns. It has one setting, [`words`](Self::words).
#[derive(Copy, Clone, Debug, Default)]
pub struct ChatAggregate {
    words: bool,
}

impl ChatAggregate {
    /// Sets whether the words of messages are counted, for the explanations of moments. Default: off. It costs time,
    /// and the memory for a sample of up to 128 messages in each pane and sixteen words in each window.
    #[must_use]
    pub fn words(self, words: bool) -> Self {
        Self { words }
    }
}

impl Aggregate<LiveEvents> for ChatAggregate {
    type State = StreamAccumulator;

    #[inline]
    fn add(&self, state: &mut StreamAccumulator, event: &Event<'_>) {
        state.add(event);
        if let Event::Chat(chat) = event
            && self.words
        {
            state.words(chat);
        }
    }

    fn columns(&self) -> Vec<Column> {
        StreamSummary::columns()
    }

    fn values(&self, summary: &StreamSummary, window: Window, put: &mut dyn FnMut(Value<'_>)) {
        summary.values(window, put);
    }
}

/// The sliding form of [`StreamAccumulator`]: the sliding forms of its parts. The cost of a slide depends on
/// the contents of the entering and the leaving pane, not on the window.
#[derive(Debug, Default)]
pub struct StreamSliding {
    totals: Totals,
    peak_viewers: Monotonic<u64>,
    chatters: MultiplicitiesSliding,
    emotes: SubtractOnEvict<TopK<10>>,
    transactions: TransactionsSliding,
    words: WordSampleSliding,
}

impl Sliding<StreamAccumulator> for StreamSliding {
    fn push(&mut self, pane: &StreamAccumulator) {
        self.totals.merge(&pane.totals);
        self.peak_viewers.push(&pane.peak_viewers);
        self.chatters.push(&pane.chatters);
        self.emotes.push(&pane.emotes);
        if let Some(transactions) = &pane.transactions {
            self.transactions.push(transactions);
        }
        if let Some(words) = &pane.words {
            self.words.push(words);
        }
    }

    fn pop(&mut self, pane: &StreamAccumulator) {
        self.totals.subtract(&pane.totals);
        self.peak_viewers.pop(&pane.peak_viewers);
        self.chatters.pop(&pane.chatters);
        self.emotes.pop(&pane.emotes);
        if let Some(transactions) = &pane.transactions {
            self.transactions.pop(transactions);
        }
        if let Some(words) = &pane.words {
            self.words.pop(words);
        }
    }

    fn finish(&self) -> StreamSummary {
        let Multiplicity { distinct, greatest } = self.chatters.finish();
        let mut summary = StreamSummary {
            unique_chatters: distinct,
            most_by_one: greatest,
            words: words::summary(&self.words.finish()),
            top_emotes: self.emotes.finish(),
            peak_viewers: Sliding::<Max<u64>>::finish(&self.peak_viewers),
            ..StreamSummary::default()
        };
        self.totals.write(&mut summary);
        self.transactions.write(&mut summary);
        summary
    }
}
