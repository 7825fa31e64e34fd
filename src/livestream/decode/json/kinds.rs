//! The events of records: one function for each kind makes an event from fields.

use super::field::Field;
use super::fields::Fields;
use crate::core::DecodeError;
use crate::livestream::event::{
    ChatMessage, Currency, Event, EventKind, Header, MetaType, StreamMeta, Transaction, TransactionType,
    ViewerCount,
};

/// The kind of a record without a known topic: by its field `topic` if it has one, otherwise by the fields
/// that each kind requires.
#[inline]
pub(super) fn kind_of(fields: &Fields<'_>) -> Result<EventKind, DecodeError> {
    if fields.has(Field::Topic) {
        return by_topic(fields);
    }
    let has = |required: &[Field]| required.iter().all(|field| fields.has(*field));
    // The kinds that require most come first: a transaction may have the fields of a chat message, and any
    // producer may add a field such as `viewer_count` to its messages.
    if has(&[Field::Amount, Field::Currency, Field::TransactionType]) {
        Ok(EventKind::Transaction)
    } else if has(&[Field::Message, Field::UserId]) {
        Ok(EventKind::Chat)
    } else if fields.has(Field::EventType) && (!fields.has(Field::ViewerCount) || is_meta(fields)) {
        Ok(EventKind::Meta)
    } else if fields.has(Field::ViewerCount) {
        Ok(EventKind::Viewer)
    } else {
        likeliest(fields)
    }
}

/// The kind that the field `topic` names. Another value is an error.
fn by_topic(fields: &Fields<'_>) -> Result<EventKind, DecodeError> {
    let kind = fields.word(Field::Topic)?.and_then(EventKind::from_topic);
    kind.ok_or_else(|| DecodeError::field(Field::Topic.name(), "names no kind of event"))
}

/// Whether the type is one of metadata: other formats use this field name too.
fn is_meta(fields: &Fields<'_>) -> bool {
    matches!(fields.word(Field::EventType), Ok(Some(name)) if MetaType::from_wire(name).is_some())
}

/// The kind of a record that is complete for none, so that the error names a missing field.
#[cold]
fn likeliest(fields: &Fields<'_>) -> Result<EventKind, DecodeError> {
    let any = |marks: &[Field]| marks.iter().any(|field| fields.has(*field));
    if any(&[Field::Amount, Field::Currency, Field::TransactionType]) {
        Ok(EventKind::Transaction)
    } else if any(&[
        Field::Message,
        Field::UserId,
        Field::Username,
        Field::Emotes,
        Field::Badges,
        Field::IsSubscriber,
        Field::IsModerator,
    ]) {
        Ok(EventKind::Chat)
    } else {
        Err(DecodeError::new(
            "the record has no field that tells its kind; add `topic`, or fix the kind in the decoder",
        ))
    }
}

/// The event of that kind.
#[inline]
pub(super) fn event<'a>(kind: EventKind, fields: &Fields<'a>) -> Result<Event<'a>, DecodeError> {
    match kind {
        EventKind::Chat => chat(fields).map(Event::Chat),
        EventKind::Viewer => viewer(fields).map(Event::Viewer),
        EventKind::Transaction => transaction(fields).map(Event::Transaction),
        EventKind::Meta => meta(fields).map(Event::Meta),
    }
}

fn header<'a>(fields: &Fields<'a>) -> Result<Header<'a>, DecodeError> {
    Ok(Header {
        event_id: fields.id(Field::EventId)?,
        time: fields.required(Field::Timestamp, fields.time(Field::Timestamp)?)?,
        stream_id: fields.id(Field::StreamId)?,
    })
}

fn chat<'a>(fields: &Fields<'a>) -> Result<ChatMessage<'a>, DecodeError> {
    Ok(ChatMessage {
        header: header(fields)?,
        user_id: fields.id(Field::UserId)?,
        username: fields.required(Field::Username, fields.text(Field::Username)?)?,
        message: fields.required(Field::Message, fields.text(Field::Message)?)?,
        emotes: fields.list(Field::Emotes)?,
        badges: fields.list(Field::Badges)?,
        is_subscriber: fields.flag(Field::IsSubscriber)?,
        is_moderator: fields.flag(Field::IsModerator)?,
        sentiment: 0,
    })
}

fn viewer<'a>(fields: &Fields<'a>) -> Result<ViewerCount<'a>, DecodeError> {
    Ok(ViewerCount {
        header: header(fields)?,
        viewer_count: fields.required(Field::ViewerCount, fields.count(Field::ViewerCount)?)?,
        unique_viewers: fields.count(Field::UniqueViewers)?,
        peak_viewers: fields.count(Field::PeakViewers)?,
    })
}

fn transaction<'a>(fields: &Fields<'a>) -> Result<Transaction<'a>, DecodeError> {
    Ok(Transaction {
        header: header(fields)?,
        user_id: fields.id(Field::UserId)?,
        username: fields.required(Field::Username, fields.text(Field::Username)?)?,
        transaction_type: one_of(
            fields,
            Field::TransactionType,
            TransactionType::from_wire,
            "is none of `donation`, `subscription`, `bits`",
        )?,
        amount: fields.required(Field::Amount, fields.amount(Field::Amount)?)?,
        currency: one_of(
            fields,
            Field::Currency,
            Currency::from_wire,
            "is none of `USD`, `EUR`, `GBP`, `bits`",
        )?,
        message: fields.text(Field::Message)?,
    })
}

fn meta<'a>(fields: &Fields<'a>) -> Result<StreamMeta<'a>, DecodeError> {
    Ok(StreamMeta {
        header: header(fields)?,
        event_type: one_of(
            fields,
            Field::EventType,
            MetaType::from_wire,
            "is none of `title_change`, `category_change`, `stream_start`, `stream_end`",
        )?,
        new_title: fields.text(Field::NewTitle)?,
        new_category: fields.text(Field::NewCategory)?,
        started_at: fields.time(Field::StartedAt)?,
        ended_at: fields.time(Field::EndedAt)?,
        duration_minutes: fields.count(Field::DurationMinutes)?,
    })
}

fn one_of<T>(
    fields: &Fields<'_>,
    field: Field,
    from_wire: fn(&str) -> Option<T>,
    otherwise: &'static str,
) -> Result<T, DecodeError> {
    let name = fields.required(field, fields.word(field)?)?;
    from_wire(name).ok_or_else(|| DecodeError::field(field.name(), otherwise))
}
