//! The encoded form of an event, and the checks of an event that is read.

use serde::{Deserialize, Serialize};

use crate::core::{Arena, DecodeError, EventTime};
use crate::livestream::decode::valid;
use crate::livestream::event::{
    ChatMessage, Currency, Event, Header, MetaType, StreamMeta, Transaction, TransactionType, ViewerCount,
};

/// The encoded form of an event. `L` is the type of lists: borrowed for writing, owned for reading.
#[derive(Serialize, Deserialize)]
pub(super) enum Wire<'a, L> {
    Chat {
        header: WireHeader<'a>,
        user_id: &'a str,
        username: &'a str,
        message: &'a str,
        emotes: L,
        badges: L,
        is_subscriber: bool,
        is_moderator: bool,
    },
    Viewer {
        header: WireHeader<'a>,
        viewer_count: u64,
        unique_viewers: Option<u64>,
        peak_viewers: Option<u64>,
    },
    Transaction {
        header: WireHeader<'a>,
        user_id: &'a str,
        username: &'a str,
        transaction_type: TransactionType,
        amount: i64,
        currency: Currency,
        message: Option<&'a str>,
    },
    Meta {
        header: WireHeader<'a>,
        event_type: MetaType,
        new_title: Option<&'a str>,
        new_category: Option<&'a str>,
        started_at: Option<EventTime>,
        ended_at: Option<EventTime>,
        duration_minutes: Option<u64>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireHeader<'a> {
    event_id: &'a str,
    time: EventTime,
    stream_id: &'a str,
}

impl<'a> From<&Event<'a>> for Wire<'a, &'a [&'a str]> {
    fn from(event: &Event<'a>) -> Self {
        let Header { event_id, time, stream_id } = *event.header();
        let header = WireHeader { event_id, time, stream_id };
        match *event {
            Event::Chat(e) => Self::Chat {
                header,
                user_id: e.user_id,
                username: e.username,
                message: e.message,
                emotes: e.emotes,
                badges: e.badges,
                is_subscriber: e.is_subscriber,
                is_moderator: e.is_moderator,
            },
            Event::Viewer(e) => Self::Viewer {
                header,
                viewer_count: e.viewer_count,
                unique_viewers: e.unique_viewers,
                peak_viewers: e.peak_viewers,
            },
            Event::Transaction(e) => Self::Transaction {
                header,
                user_id: e.user_id,
                username: e.username,
                transaction_type: e.transaction_type,
                amount: e.amount,
                currency: e.currency,
                message: e.message,
            },
            Event::Meta(e) => Self::Meta {
                header,
                event_type: e.event_type,
                new_title: e.new_title,
                new_category: e.new_category,
                started_at: e.started_at,
                ended_at: e.ended_at,
                duration_minutes: e.duration_minutes,
            },
        }
    }
}

impl<'a> Wire<'a, Vec<&'a str>> {
    /// The event, if it passes the checks.
    pub(super) fn event(self, arena: &'a Arena) -> Result<Event<'a>, DecodeError> {
        Ok(match self {
            Self::Chat {
                header,
                user_id,
                username,
                message,
                emotes,
                badges,
                is_subscriber,
                is_moderator,
            } => Event::Chat(ChatMessage {
                header: header.checked()?,
                user_id: id("user_id", user_id)?,
                username: text("username", username, arena)?,
                message: text("message", message, arena)?,
                emotes: list("emotes", emotes, arena)?,
                badges: list("badges", badges, arena)?,
                is_subscriber,
                is_moderator,
                sentiment: 0,
            }),
            Self::Viewer { header, viewer_count, unique_viewers, peak_viewers } => {
                Event::Viewer(ViewerCount {
                    header: header.checked()?,
                    viewer_count,
                    unique_viewers,
                    peak_viewers,
                })
            }
            Self::Transaction { header, user_id, username, transaction_type, amount, currency, message } => {
                if amount < 0 {
                    return Err(DecodeError::field("amount", valid::NEGATIVE));
                }
                Event::Transaction(Transaction {
                    header: header.checked()?,
                    user_id: id("user_id", user_id)?,
                    username: text("username", username, arena)?,
                    transaction_type,
                    amount,
                    currency,
                    message: message.map(|m| text("message", m, arena)).transpose()?,
                })
            }
            Self::Meta {
                header,
                event_type,
                new_title,
                new_category,
                started_at,
                ended_at,
                duration_minutes,
            } => Event::Meta(StreamMeta {
                header: header.checked()?,
                event_type,
                new_title: new_title.map(|t| text("new_title", t, arena)).transpose()?,
                new_category: new_category.map(|t| text("new_category", t, arena)).transpose()?,
                started_at: started_at.map(|t| time("started_at", t)).transpose()?,
                ended_at: ended_at.map(|t| time("ended_at", t)).transpose()?,
                duration_minutes,
            }),
        })
    }
}

impl<'a> WireHeader<'a> {
    fn checked(self) -> Result<Header<'a>, DecodeError> {
        Ok(Header {
            event_id: id("event_id", self.event_id)?,
            time: time("timestamp", self.time)?,
            stream_id: id("stream_id", self.stream_id)?,
        })
    }
}

fn id<'a>(field: &'static str, value: &'a str) -> Result<&'a str, DecodeError> {
    valid::id(value).and_then(valid::without_nul).map_err(|reason| DecodeError::field(field, reason))
}

fn text<'a>(field: &'static str, value: &'a str, arena: &'a Arena) -> Result<&'a str, DecodeError> {
    let text = valid::text(value).map_err(|reason| DecodeError::field(field, reason))?;
    Ok(valid::replaced(text, arena))
}

fn list<'a>(
    field: &'static str,
    mut items: Vec<&'a str>,
    arena: &'a Arena,
) -> Result<&'a [&'a str], DecodeError> {
    valid::list_len(items.len()).map_err(|reason| DecodeError::field(field, reason))?;
    for item in &mut items {
        *item = text(field, item, arena)?;
    }
    Ok(if items.is_empty() { &[] } else { arena.list(items) })
}

fn time(field: &'static str, time: EventTime) -> Result<EventTime, DecodeError> {
    if time > EventTime::LATEST {
        return Err(DecodeError::field(field, valid::TOO_LATE));
    }
    Ok(time)
}
