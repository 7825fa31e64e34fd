//! What can be picked out of an event, each for use in a [`Project`](super::Project).

use std::iter::Copied;
use std::slice::Iter;

use super::Pick;
use crate::{ChatMessage, Event, Transaction};

/// Chat messages.
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

/// The user of each chat message.
#[derive(Copy, Clone, Debug)]
pub struct Chatter;

impl<'e, 'a> Pick<&'e Event<'a>> for Chatter {
    type Picked = Option<&'a str>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        Chat::pick(event).map(|chat| chat.user_id)
    }
}

/// The emotes of each chat message, one by one.
#[derive(Copy, Clone, Debug)]
pub struct Emotes;

impl<'e, 'a> Pick<&'e Event<'a>> for Emotes {
    type Picked = Copied<Iter<'a, &'a str>>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        Chat::pick(event).map_or(&[][..], |chat| chat.emotes).iter().copied()
    }
}

/// The sentiment of each chat message, in units of `1 /` [`SENTIMENT_SCALE`](crate::SENTIMENT_SCALE).
#[derive(Copy, Clone, Debug)]
pub struct Mood;

impl<'e, 'a> Pick<&'e Event<'a>> for Mood {
    type Picked = Option<i64>;

    fn pick(event: &'e Event<'a>) -> Self::Picked {
        Chat::pick(event).map(|chat| i64::from(chat.sentiment))
    }
}

/// The viewer counts.
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

/// Transactions. Their amounts are in different currencies, so picking these is left to you.
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
