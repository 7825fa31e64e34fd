//! The four kinds of live-stream event, borrowed from the record that they were decoded from.
//!
//! An event borrows from its record's buffer and from the [`Arena`](crate::core::Arena), which are valid for
//! one batch. An accumulator copies what it keeps for longer.

use serde::{Deserialize, Serialize};

use crate::core::{self, EventId, EventTime};
use crate::livestream::StreamId;

/// The greatest length of an id (`event_id`, `stream_id`, `user_id`) in bytes. A record with a longer one is malformed.
pub const MAX_ID_BYTES: usize = 256;
/// The greatest length of any other text, such as a message, a name, a title or a category, in bytes. A record with a
/// longer one is malformed.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// The greatest number of emotes, and of badges, of one message. A record with more is malformed.
pub const MAX_LIST_ITEMS: usize = 512;
/// The scale of amounts, which are fixed-point numbers: 1,000,000 units of [`Transaction::amount`] are one unit of its
/// currency.
pub const AMOUNT_SCALE: i64 = 1_000_000;
/// The scale of sentiments, which are fixed-point numbers: [`ChatMessage::sentiment`] is from `-SENTIMENT_SCALE`, for
/// −1, to `SENTIMENT_SCALE`, for 1.
pub const SENTIMENT_SCALE: i64 = 10_000;

/// An event of a live stream: one decoded record, borrowed from its batch. It is the event type of the live-stream
/// pipeline.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message in a stream's chat.
    Chat(ChatMessage<'a>),
    /// The number of viewers of a stream.
    Viewer(ViewerCount<'a>),
    /// A donation, a subscription or bits.
    Transaction(Transaction<'a>),
    /// A change of the stream itself: start, end, title, category.
    Meta(StreamMeta<'a>),
}

/// The fields that every event has.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The event's id, unique among the events of its kind; duplicates are found by it.
    pub event_id: &'a str,
    /// The event's own time.
    pub time: EventTime,
    /// The stream that the event belongs to: the key of all aggregates.
    pub stream_id: &'a str,
}

impl<'a> Event<'a> {
    /// Returns the id, the time and the stream of the event.
    #[must_use]
    pub fn header(&self) -> &Header<'a> {
        match self {
            Self::Chat(e) => &e.header,
            Self::Viewer(e) => &e.header,
            Self::Transaction(e) => &e.header,
            Self::Meta(e) => &e.header,
        }
    }

    /// Returns the kind of the event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Chat(_) => EventKind::Chat,
            Self::Viewer(_) => EventKind::Viewer,
            Self::Transaction(_) => EventKind::Transaction,
            Self::Meta(_) => EventKind::Meta,
        }
    }
}

/// The key is the stream. Duplicates are found by the event's kind and id, so each kind may count its own
/// ids.
impl core::Event for Event<'_> {
    type Key = StreamId;

    #[inline]
    fn time(&self) -> EventTime {
        self.header().time
    }

    #[inline]
    fn key(&self) -> &str {
        self.header().stream_id
    }

    #[inline]
    fn id(&self) -> Option<EventId> {
        Some(EventId::of_kind(self.kind() as u8, self.header().event_id))
    }
}

/// The family of [`Event`]s: the type parameter of decoders, aggregates and pipelines of live streams.
#[derive(Copy, Clone, Debug)]
pub struct LiveEvents;

impl core::Events for LiveEvents {
    type Key = StreamId;
    type Of<'a> = Event<'a>;
}

/// The kind of an event. Each kind has a topic of its own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// [`ChatMessage`].
    Chat,
    /// [`ViewerCount`].
    Viewer,
    /// [`Transaction`].
    Transaction,
    /// [`StreamMeta`].
    Meta,
}

impl EventKind {
    /// All four kinds of events.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Viewer, Self::Transaction, Self::Meta];

    /// Returns the default name of the topic with the events of this kind.
    ///
    /// ```
    /// use telemetra::livestream::EventKind;
    /// assert_eq!(EventKind::Chat.topic(), "telemetra.events.chat");
    /// ```
    #[must_use]
    pub const fn topic(self) -> &'static str {
        match self {
            Self::Chat => "telemetra.events.chat",
            Self::Viewer => "telemetra.events.viewer",
            Self::Transaction => "telemetra.events.transactions",
            Self::Meta => "telemetra.events.stream_meta",
        }
    }

    /// Returns the kind of the events in a topic, by the part of the topic's name after the last `.`; the operator
    /// chooses the part before it. `None` if no kind has that name.
    ///
    /// ```
    /// use telemetra::livestream::EventKind;
    /// assert_eq!(EventKind::from_topic("telemetra.events.viewer"), Some(EventKind::Viewer));
    /// assert_eq!(EventKind::from_topic("staging.transactions"), Some(EventKind::Transaction));
    /// assert_eq!(EventKind::from_topic("chat"), Some(EventKind::Chat));
    /// assert_eq!(EventKind::from_topic("telemetra.events"), None);
    /// ```
    #[must_use]
    #[inline]
    pub fn from_topic(topic: &str) -> Option<Self> {
        // Last parts are short: comparing bytes from the end costs less than a search.
        let dot = topic.bytes().rposition(|byte| byte == b'.');
        match &topic[dot.map_or(0, |dot| dot + 1)..] {
            "chat" => Some(Self::Chat),
            "viewer" => Some(Self::Viewer),
            "transactions" => Some(Self::Transaction),
            "stream_meta" => Some(Self::Meta),
            _ => None,
        }
    }
}

/// A message in a stream's chat.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage<'a> {
    /// Id, time and stream.
    pub header: Header<'a>,
    /// The id of the user who wrote the message.
    pub user_id: &'a str,
    /// The displayed name of the user.
    pub username: &'a str,
    /// The text of the message.
    pub message: &'a str,
    /// The names of the emotes in the message, in order, repeated as often as used.
    pub emotes: &'a [&'a str],
    /// The writer's badges.
    pub badges: &'a [&'a str],
    /// Whether the writer subscribes to the stream.
    pub is_subscriber: bool,
    /// Whether the writer moderates the stream.
    pub is_moderator: bool,
    /// The sentiment of the message, from −1 to 1, in units of `1 /` [`SENTIMENT_SCALE`]. The decoders of formats set
    /// it to 0; a [`Scored`](super::Scored) decoder computes it.
    pub sentiment: i32,
}

/// The number of viewers of a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ViewerCount<'a> {
    /// Id, time and stream.
    pub header: Header<'a>,
    /// The number of viewers now.
    pub viewer_count: u64,
    /// The number of different viewers so far.
    pub unique_viewers: Option<u64>,
    /// The greatest number of viewers so far.
    pub peak_viewers: Option<u64>,
}

/// A donation, a subscription or bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// Id, time and stream.
    pub header: Header<'a>,
    /// The id of the user who paid.
    pub user_id: &'a str,
    /// The displayed name of the user.
    pub username: &'a str,
    /// The purpose of the payment.
    pub transaction_type: TransactionType,
    /// The amount paid, in units of `1 /` [`AMOUNT_SCALE`] of the currency, not negative.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The message that came with the transaction.
    pub message: Option<&'a str>,
}

/// A change of the stream itself: its start, its end, or a new title or category.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StreamMeta<'a> {
    /// Id, time and stream.
    pub header: Header<'a>,
    /// The kind of change.
    pub event_type: MetaType,
    /// The title from now on.
    pub new_title: Option<&'a str>,
    /// The category from now on.
    pub new_category: Option<&'a str>,
    /// When the stream started.
    pub started_at: Option<EventTime>,
    /// When the stream ended.
    pub ended_at: Option<EventTime>,
    /// The length of the stream, in minutes.
    pub duration_minutes: Option<u64>,
}

/// Defines an enum whose variants have names on the wire.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All variants, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name of the variant on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }

            /// The variant with that name on the wire.
            #[must_use]
            pub fn from_wire(name: &str) -> Option<Self> {
                match name { $($wire => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

wire_enum! {
    /// The purpose of a [`Transaction`].
    TransactionType {
        /// A gift of money.
        Donation = "donation",
        /// A subscription.
        Subscription = "subscription",
        /// The platform's own coins.
        Bits = "bits",
    }
}
wire_enum! {
    /// The currency of a [`Transaction`].
    Currency {
        /// US dollar.
        Usd = "USD",
        /// Euro.
        Eur = "EUR",
        /// Pound sterling.
        Gbp = "GBP",
        /// The platform's own coins.
        Bits = "bits",
    }
}
wire_enum! {
    /// The kind of change that a [`StreamMeta`] reports.
    MetaType {
        /// The title is new.
        TitleChange = "title_change",
        /// The category is new.
        CategoryChange = "category_change",
        /// The stream went live.
        StreamStart = "stream_start",
        /// The stream ended.
        StreamEnd = "stream_end",
    }
}
