//! Bincode records that are bad, and how their errors read.

use telemetra::core::testkit::decoder_compliance;
use telemetra::core::{Arena, EventTime};
use telemetra::livestream::encode_bincode;
use telemetra::livestream::{
    BincodeDecoder, Currency, Event, EventKind, Header, JsonDecoder, LiveEvents, Transaction, TransactionType,
};

use super::records::{CHAT, META, TRANSACTION, VIEWER};
use super::{decode, error};

fn encoded(event: Event<'_>) -> Vec<u8> {
    let mut record = Vec::new();
    encode_bincode(&event, &mut record);
    record
}

fn recoded(json: &str) -> Vec<u8> {
    let arena = Arena::default();
    encoded(decode(&JsonDecoder::mixed(), json.as_bytes(), &arena).unwrap()[0])
}

#[test]
fn complies() {
    let good = [CHAT, VIEWER, TRANSACTION, META].map(recoded);
    let mut good: Vec<&[u8]> = good.iter().map(Vec::as_slice).collect();
    good.push(b"");
    decoder_compliance::<LiveEvents>(&BincodeDecoder, &good, &[b"\0", b"\x07\0\0\0", &[0xff; 64]]);
}

#[test]
fn faults_are_told() {
    let record = recoded(CHAT);
    let unlike =
        "the record is not one event in bincode; was it written by `encode_bincode` of this version?";
    assert_eq!(error(&BincodeDecoder, &record[..20]), "the record ends too early");
    assert_eq!(error(&BincodeDecoder, &[&record[..], b"x"].concat()), unlike);
    assert_eq!(error(&BincodeDecoder, &[&[9], &record[1..]].concat()), unlike);
    let last = record.len() - 1;
    assert_eq!(error(&BincodeDecoder, &[&record[..last], &[2]].concat()), "a flag is neither 0 nor 1");
    let place = record.windows(2).position(|two| two == b"hi").unwrap();
    let invalid = [&record[..place], &[0xff], &record[place + 1..]].concat();
    assert_eq!(error(&BincodeDecoder, &invalid), "a text is not valid UTF-8");
}

#[test]
fn fields_are_checked() {
    let header = Header { event_id: "e", time: EventTime(0), stream_id: "s" };
    let good = Transaction {
        header,
        user_id: "u",
        username: "n",
        transaction_type: TransactionType::Bits,
        amount: 0,
        currency: Currency::Bits,
        message: None,
    };
    let long = "x".repeat(16_385);
    let late = Header { time: EventTime::LATEST.plus(1), ..header };
    let cases = [
        (Transaction { amount: -1, ..good }, "`amount`: is negative"),
        (Transaction { user_id: "", ..good }, "`user_id`: is empty"),
        (Transaction { user_id: &long, ..good }, "`user_id`: is longer than 256 bytes"),
        (Transaction { message: Some(&long), ..good }, "`message`: is longer than 16384 bytes"),
        (
            Transaction { header: Header { stream_id: "\0", ..header }, ..good },
            "`stream_id`: holds a NUL character or half of a surrogate pair",
        ),
        (Transaction { header: late, ..good }, "`timestamp`: is after the year 9999"),
    ];
    assert_eq!(
        decode(&BincodeDecoder, &encoded(Event::Transaction(good)), &Arena::default()).map(|e| e.len()),
        Ok(1)
    );
    for (bad, reason) in cases {
        assert_eq!(error(&BincodeDecoder, &encoded(Event::Transaction(bad))), reason);
    }

    let arena = Arena::default();
    let events = decode(&JsonDecoder::of(EventKind::Chat), CHAT.as_bytes(), &arena).unwrap();
    let [Event::Chat(chat)] = events[..] else { panic!("not one chat message: {events:?}") };
    let (mut many, mut nul) = (chat, chat);
    many.emotes = &["x"; 513];
    nul.badges = &["a", "\0"];
    assert_eq!(error(&BincodeDecoder, &encoded(Event::Chat(many))), "`emotes`: has more than 512 items");
    nul.message = "a\0b";
    let record = encoded(Event::Chat(nul));
    let events = decode(&BincodeDecoder, &record, &arena).unwrap();
    let [Event::Chat(chat)] = events[..] else { panic!("not one chat message: {events:?}") };
    assert_eq!((chat.badges, chat.message), (&["a", "\u{fffd}"][..], "a\u{fffd}b"));
}
