//! A decoder that also scores the sentiment of chat messages.

use std::fmt;
use std::sync::Arc;

use crate::core::{Arena, DecodeError, Decoder, Record};
use crate::livestream::{Event, LiveEvents, Sentiment};

/// A decoder that wraps another one and sets the sentiment of each chat message.
///
/// A checkpoint stores the identity of the scorer, and a restart with another scorer is refused: a window
/// would otherwise be the mean of scores that cannot be compared.
///
/// ```
/// use std::sync::Arc;
/// use telemetra::core::{Arena, Decoder, Record};
/// use telemetra::livestream::{Event, JsonDecoder, Lexicon, WithSentiment};
/// let decoder = JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english()));
///
/// let record = br#"{"event_id": "e1", "timestamp": "2026-01-01T12:00:00Z", "stream_id": "s1",
///     "user_id": "u1", "username": "Ann", "message": "what an amazing play"}"#;
/// let (arena, mut events) = (Arena::default(), Vec::new());
/// decoder.decode(Record::new(record), &arena, &mut events)?;
/// assert!(matches!(events[0], Event::Chat(chat) if chat.sentiment > 5_000));
/// assert!(decoder.identity().starts_with("sentiment by lexicon 1"));
/// # Ok::<(), telemetra::core::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct Scored<D> {
    decoder: D,
    sentiment: Arc<dyn Sentiment>,
}

impl<D> Scored<D> {
    /// Wraps `decoder` and scores its chat messages by `sentiment`. Decoders may share a scorer.
    #[must_use]
    pub fn new(decoder: D, sentiment: Arc<dyn Sentiment>) -> Self {
        Self { decoder, sentiment }
    }
}

impl<D: fmt::Debug> fmt::Debug for Scored<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentiment = self.sentiment.identity();
        f.debug_struct("Scored").field("decoder", &self.decoder).field("sentiment", &sentiment).finish()
    }
}

impl<D: Decoder<LiveEvents>> Decoder<LiveEvents> for Scored<D> {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError> {
        let before = events.len();
        self.decoder.decode(record, arena, events)?;
        for event in events.iter_mut().skip(before) {
            if let Event::Chat(chat) = event {
                chat.sentiment = self.sentiment.score(chat.message, chat.emotes);
            }
        }
        Ok(())
    }

    fn identity(&self) -> String {
        let (decoder, sentiment) = (self.decoder.identity(), self.sentiment.identity());
        let comma = if decoder.is_empty() { "" } else { ", " };
        format!("{decoder}{comma}sentiment by {sentiment}")
    }

    fn letter_bytes(&self, record: Record<'_>, event: &Event<'_>) -> Box<[u8]> {
        self.decoder.letter_bytes(record, event)
    }
}

/// An extension trait that adds [`with_sentiment`](Self::with_sentiment) to every decoder of live-stream events. It is
/// implemented for all of them.
pub trait WithSentiment: Decoder<LiveEvents> + Sized {
    /// Returns a decoder that decodes as this one does and also scores the sentiment of each chat message. Without a
    /// scorer every sentiment is 0.
    #[must_use]
    fn with_sentiment(self, sentiment: Arc<dyn Sentiment>) -> Scored<Self> {
        Scored::new(self, sentiment)
    }
}

impl<D: Decoder<LiveEvents>> WithSentiment for D {}
