//! Projections of live-stream events, which select the part of an event that an accumulator counts or sums: the first
//! parameter of [`Project`](crate::core::aggregate::Project). With them you compose accumulators of your own as types.
//!
//! ```
//! use telemetra::core::aggregate::{Count, Distinct, Pick, Project, TopK};
//! use telemetra::core::{Accumulate, Accumulator, Aggregates, Column, ColumnKind, Value};
//! use telemetra::livestream::{ChatMessage, Event, Header, LiveEvents, pick};
//!
//! /// Messages by subscribers.
//! struct BySubscribers;
//! impl<'e, 'a> Pick<&'e Event<'a>> for BySubscribers {
//!     type Picked = Option<()>;
//!     fn pick(event: &'e Event<'a>) -> Option<()> {
//!         matches!(event, Event::Chat(chat) if chat.is_subscriber).then_some(())
//!     }
//! }
//!
//! type Mine = (Project<BySubscribers, Count>, Project<pick::Chatter, Distinct>, Project<pick::Emotes, TopK<3>>);
//! let mut mine = Mine::default();
//! # let header = Header { event_id: "1", time: Default::default(), stream_id: "s" };
//! # let event = Event::Chat(ChatMessage {
//! #     header, user_id: "ada", username: "Ada", message: "hi", emotes: &["Kappa", "Kappa"], badges: &[],
//! #     is_subscriber: true, is_moderator: false, sentiment: 0,
//! # });
//! mine.add(&event);
//! let (by_subscribers, chatters, emotes) = mine.finish();
//! assert_eq!((by_subscribers, chatters, emotes[0].count), (1, 1, 2));
//!
//! // As the aggregate of a grouping, with the columns it fills.
//! let columns = ["by_subscribers", "chatters"].map(|name| Column::new(name, ColumnKind::Integer));
//! let aggregate = Aggregates::<LiveEvents>::new().accumulator::<Mine>(columns.into(), |(by, chatters, _), _, put| {
//!     put(Value::Unsigned(*by));
//!     put(Value::Unsigned(*chatters));
//! });
//! # let _ = aggregate;
//! ```

use std::iter::Copied;
use std::slice::Iter;

use crate::core::Pick;
use crate::livestream::{ChatMessage, Event, Transaction};

/// The projection to chat messages.
#[derive(Copy, Clone, Debug)]
pub struct Chat;

impl<'e, 'a> Pick<&'e Event<'a>> for Chat {
    type Picked = Option<&'e ChatMessage<'a>>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        match event {
            Event::Chat(chat) => Some(chat),
            _ => None,
        }
    }
}

/// The projection to the user of each chat message.
#[derive(Copy, Clone, Debug)]
pub struct Chatter;

impl<'e, 'a> Pick<&'e Event<'a>> for Chatter {
    type Picked = Option<&'a str>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        Chat::pick(event).map(|chat| chat.user_id)
    }
}

/// The projection to the emotes of each chat message, one by one.
#[derive(Copy, Clone, Debug)]
pub struct Emotes;

impl<'e, 'a> Pick<&'e Event<'a>> for Emotes {
    type Picked = Copied<Iter<'a, &'a str>>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        Chat::pick(event).map_or(&[][..], |chat| chat.emotes).iter().copied()
    }
}

/// The projection to the sentiment of each chat message, in units of `1 /` [`SENTIMENT_SCALE`](crate::livestream::SENTIMENT_SCALE).
#[derive(Copy, Clone, Debug)]
pub struct Mood;

impl<'e, 'a> Pick<&'e Event<'a>> for Mood {
    type Picked = Option<i64>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        Chat::pick(event).map(|chat| i64::from(chat.sentiment))
    }
}

/// The projection to viewer counts.
#[derive(Copy, Clone, Debug)]
pub struct Viewers;

impl<'e, 'a> Pick<&'e Event<'a>> for Viewers {
    type Picked = Option<u64>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        match event {
            Event::Viewer(viewer) => Some(viewer.viewer_count),
            _ => None,
        }
    }
}

/// The projection to transactions. It does not select a currency, and amounts in different currencies must not be
/// added: select one by a projection of your own.
#[derive(Copy, Clone, Debug)]
pub struct Transactions;

impl<'e, 'a> Pick<&'e Event<'a>> for Transactions {
    type Picked = Option<&'e Transaction<'a>>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        match event {
            Event::Transaction(transaction) => Some(transaction),
            _ => None,
        }
    }
}
