//! Decoders that score: chat messages alone, and known by what they score with.

use std::sync::Arc;

use telemetra::core::testkit::decoder_compliance;
use telemetra::core::{Arena, DecodeError, Decoder, EventTime, Record};
use telemetra::livestream::{
    BincodeDecoder, Event, Header, JsonDecoder, Lexicon, LiveEvents, Scored, Sentiment, Vader, WithSentiment,
    encode_bincode, encode_json,
};

use crate::events::of_each_kind;

const HEADER: Header<'_> = Header { event_id: "e1", time: EventTime(7), stream_id: "s1" };

fn sentiments(events: &[Event<'_>]) -> Vec<Option<i32>> {
    events
        .iter()
        .map(|event| if let Event::Chat(chat) = event { Some(chat.sentiment) } else { None })
        .collect()
}

/// Two events a record, and an identity.
struct Twice(JsonDecoder);

impl Decoder<LiveEvents> for Twice {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError> {
        self.0.decode(record, arena, events)?;
        events.extend(events.last().copied());
        Ok(())
    }

    fn identity(&self) -> String {
        "twice".to_owned()
    }

    fn letter_bytes(&self, _: Record<'_>, _: &Event<'_>) -> Box<[u8]> {
        (*b"letter").into()
    }
}

#[test]
fn chat_messages_are_scored_as_the_scorer_does() {
    let lexicon: Arc<dyn Sentiment> = Arc::new(Lexicon::english());
    let score = lexicon.score("this is good", &["Kappa"]);
    assert!(score > 0);
    type Encode = fn(&Event<'_>, &mut Vec<u8>);
    let formats: [(Box<dyn Decoder<LiveEvents>>, Encode); 2] = [
        (Box::new(JsonDecoder::mixed().with_sentiment(Arc::clone(&lexicon))), encode_json),
        (Box::new(Scored::new(BincodeDecoder, lexicon)), encode_bincode),
    ];
    for (decoder, encode) in formats {
        let records = of_each_kind(HEADER).map(|event| {
            let mut record = Vec::new();
            encode(&event, &mut record);
            record
        });
        let arena = Arena::default();
        // What was there is not its own to score.
        let mut events = vec![of_each_kind(HEADER)[0]];
        for record in &records {
            decoder.decode(Record::new(record), &arena, &mut events).unwrap();
        }
        assert_eq!(sentiments(&events), [Some(0), Some(score), None, None, None]);
        let good: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        decoder_compliance::<LiveEvents>(&*decoder, &good, &[b"{", b"\x07\0\0\0"]);
    }
}

#[test]
fn every_event_of_a_record_is_scored() {
    let (decoder, mut record) = (Twice(JsonDecoder::mixed()), Vec::new());
    let decoder = decoder.with_sentiment(Arc::new(Lexicon::english()));
    encode_json(&of_each_kind(HEADER)[0], &mut record);
    let (arena, mut events) = (Arena::default(), Vec::new());
    decoder.decode(Record::new(&record), &arena, &mut events).unwrap();
    let scores = sentiments(&events);
    assert!(scores.len() == 2 && scores[0] > Some(0) && scores[0] == scores[1], "{scores:?}");
    assert_eq!(&*decoder.letter_bytes(Record::new(&record), &events[0]), b"letter");
}

#[test]
fn they_are_known_by_what_they_score_with() {
    let vader: Arc<dyn Sentiment> = Arc::new(Vader::new());
    let json = JsonDecoder::mixed().with_sentiment(Arc::clone(&vader));
    assert_eq!(json.identity(), format!("sentiment by {}", vader.identity()));
    let lexicon = JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english()));
    assert_ne!(json.identity(), lexicon.identity());
    assert_eq!(Decoder::<LiveEvents>::identity(&JsonDecoder::mixed()), "");
    let twice = Twice(JsonDecoder::mixed()).with_sentiment(Arc::clone(&vader));
    assert_eq!(twice.identity(), format!("twice, {}", json.identity()));
    assert!(format!("{json:?}").contains(&vader.identity()), "{json:?}");
}
