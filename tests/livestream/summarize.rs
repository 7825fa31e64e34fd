//! The default summary: what it counts, that it keeps the contract of accumulators, and what its rules find.

use telemetra::core::testkit::{accumulator_compliance, any_detector_compliance};
use telemetra::core::{
    Accumulate, Accumulator, Baseline, EventSums, EventTime, Means, MomentRule, Observed, PowerSums,
    WindowSpec,
};
use telemetra::livestream::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, Header, MetaType, StreamAccumulator, StreamMeta,
    StreamSummary, Transaction, TransactionType, ViewerCount, default_rules,
};

const HEADER: Header<'_> = Header { event_id: "e", time: EventTime(1), stream_id: "s" };

fn chat<'a>(user_id: &'a str, sentiment: i32, emotes: &'a [&'a str]) -> Event<'a> {
    Event::Chat(ChatMessage {
        header: HEADER,
        user_id,
        username: user_id,
        message: "",
        emotes,
        badges: &[],
        is_subscriber: false,
        is_moderator: false,
        sentiment,
    })
}

fn viewers(viewer_count: u64) -> Event<'static> {
    Event::Viewer(ViewerCount { header: HEADER, viewer_count, unique_viewers: None, peak_viewers: None })
}

fn pays(amount: i64, currency: Currency) -> Event<'static> {
    let transaction_type = TransactionType::Donation;
    let (user_id, username, message) = ("payer", "payer", None);
    Event::Transaction(Transaction {
        header: HEADER,
        user_id,
        username,
        transaction_type,
        amount,
        currency,
        message,
    })
}

fn meta() -> Event<'static> {
    Event::Meta(StreamMeta {
        header: HEADER,
        event_type: MetaType::StreamStart,
        new_title: None,
        new_category: None,
        started_at: None,
        ended_at: None,
        duration_minutes: None,
    })
}

fn events() -> Vec<Event<'static>> {
    const USERS: [&str; 6] = ["ada", "grace", "alan", "barbara", "a user whose id is long", "edsger"];
    const EMOTES: [&[&str]; 4] = [&[], &["Kappa"], &["PogChamp", "Kappa", "PogChamp"], &["LUL"]];
    let mut events: Vec<_> =
        (0..40).map(|n| chat(USERS[n * n % 6], (n as i32 - 20) * 400, EMOTES[n % 4])).collect();
    events.extend([0, 10, 250, u64::MAX, 7].map(viewers));
    events.extend(
        [(5, Currency::Usd), (i64::MAX, Currency::Bits), (0, Currency::Eur)].map(|(a, c)| pays(a, c)),
    );
    events.push(meta());
    events
}

#[test]
fn it_is_an_accumulator() {
    let events = events();
    accumulator_compliance::<StreamAccumulator, &Event<'_>>(&events.iter().collect::<Vec<_>>());
}

#[test]
fn a_stream_of_one_event_takes_little() {
    assert!(size_of::<StreamAccumulator>() <= 208, "{}", size_of::<StreamAccumulator>());
}

#[test]
fn everything_is_counted_where_it_belongs() {
    let mut pane = StreamAccumulator::default();
    for event in [
        chat("ada", 501, &["Kappa", "LUL", "Kappa"]),
        chat("ada", 500, &[]),
        chat("grace", -500, &["LUL", "Kappa"]),
        chat("alan", -501, &[]),
        viewers(30),
        viewers(10),
        pays(3 * AMOUNT_SCALE, Currency::Eur),
        pays(100 * AMOUNT_SCALE, Currency::Bits),
        meta(),
    ] {
        pane.add(&event);
    }
    let s = pane.finish();
    assert_eq!((s.chat_count, s.unique_chatters, s.positive_count, s.negative_count), (4, 3, 1, 1));
    assert_eq!((s.sentiment_sum, s.sentiment_score()), (0, Some(0.0)));
    let emotes: Vec<_> = s.top_emotes.iter().map(|e| (e.name.as_str(), e.count)).collect();
    assert_eq!(emotes, [("Kappa", 3), ("LUL", 2)]);
    assert_eq!((s.avg_viewers(), s.peak_viewers, s.viewer_events), (Some(20.0), Some(30), 2));
    assert_eq!(s.transaction_count, 2);
    assert_eq!(s.amount(Currency::Eur), i128::from(3 * AMOUNT_SCALE));
    assert_eq!(s.amount(Currency::Usd), 0);
    assert_eq!((s.most_by_one, s.largest(Currency::Usd), s.words), (2, None, None));
    let largest = [(Currency::Eur, 3 * AMOUNT_SCALE), (Currency::Bits, 100 * AMOUNT_SCALE)];
    assert_eq!(*s.largest_transactions, largest);
}

/// The score of `now` after windows in which the metric was what `before` says, by the rule of that name.
fn score(name: &str, before: impl Iterator<Item = StreamSummary>, now: &StreamSummary) -> Option<f64> {
    let rules = default_rules(3.0).unwrap();
    let rule: &MomentRule<StreamSummary> = rules.iter().find(|rule| &*rule.moment_type == name).unwrap();
    let mut sums = PowerSums::default();
    let events = |summary: &StreamSummary| rule.events.as_ref().map(|events| events(summary));
    let mut of_events = EventSums::default();
    for summary in before {
        if let Some(value) = (rule.metric)(&summary) {
            sums.add(value);
            of_events.add(value, events(&summary).unwrap_or(1));
        }
    }
    let means = events(now).map(|events| Means { events, sums: of_events });
    let baselines = Baseline { sums, scale: rule.scale, samples: &(), means: means.as_ref() };
    let window = Observed {
        end: EventTime(1_767_225_600_000),
        value: (rule.metric)(now)?,
        scale: rule.scale,
        events: events(now).unwrap_or(1),
        spec: WindowSpec::default(),
        missing: rule.missing,
        baselines: &baselines,
    };
    Some(rule.detector.judge(&window)?.verdict.score)
}

fn chats(chat_count: u64) -> StreamSummary {
    StreamSummary { chat_count, ..Default::default() }
}
fn watched(viewers: u128) -> StreamSummary {
    StreamSummary { viewer_sum: viewers * 6, viewer_events: 6, ..Default::default() }
}
fn paid(transaction_count: u64) -> StreamSummary {
    StreamSummary { transaction_count, ..Default::default() }
}
fn mood(chat_count: u64, each: i64) -> StreamSummary {
    StreamSummary { chat_count, sentiment_sum: chat_count as i64 * each, ..Default::default() }
}

#[test]
fn a_spike_of_chat_is_found_and_small_numbers_are_not() {
    let calm = || [50, 61, 48, 55, 57, 44, 52, 49].into_iter().map(chats);
    assert!(score("chat_spike", calm(), &chats(140)).unwrap() > 3.0);
    assert_eq!(score("chat_spike", calm(), &chats(70)), None);
    assert_eq!(score("chat_spike", calm(), &chats(0)), None);
    let silent = || (0..20).map(|_| chats(0));
    assert_eq!(score("chat_spike", silent(), &chats(9)), None);
    assert!(score("chat_spike", silent(), &chats(10)).is_some());
    assert_eq!(score("chat_spike", silent().take(7), &chats(1_000)), None);
}

#[test]
fn an_audience_comes_and_goes() {
    let steady = || [10_000, 10_003, 9_998, 10_001, 10_000, 9_999, 10_002, 10_000].into_iter().map(watched);
    assert_eq!(score("viewer_surge", steady(), &watched(10_100)), None);
    assert!(score("viewer_surge", steady(), &watched(12_000)).unwrap() > 3.0);
    assert_eq!(score("viewer_surge", steady(), &watched(8_000)), None);
    assert!(score("viewer_drop", steady(), &watched(8_000)).unwrap() < -3.0);
    let few = || (0..10).map(|_| watched(3));
    assert_eq!(score("viewer_drop", few(), &watched(0)), None);
    assert_eq!(score("viewer_surge", few(), &StreamSummary::default()), None);
    assert!(score("viewer_surge", steady(), &watched(u128::MAX / 6)).unwrap() > 20.0);
}

#[test]
fn a_surge_of_donations_takes_three() {
    let rare = || (0..30).map(|n| paid(u64::from(n % 10 == 0)));
    assert_eq!(score("donation_surge", rare(), &paid(2)), None);
    assert!(score("donation_surge", rare(), &paid(6)).is_some());
}

#[test]
fn a_mood_takes_ten_messages_and_shifts_both_ways() {
    let calm = || (0..10).map(|n| mood(40, 900 + n * 20));
    assert!(score("sentiment_shift", calm(), &mood(40, 5_000)).unwrap() > 3.0);
    assert!(score("sentiment_shift", calm(), &mood(40, -3_000)).unwrap() < -3.0);
    assert_eq!(score("sentiment_shift", calm(), &mood(40, 1_900)), None);
    assert_eq!(score("sentiment_shift", calm(), &mood(9, -9_000)), None);
}

/// A few messages may be of any mood, where many are all of one.
#[test]
fn a_mood_of_few_messages_must_be_a_clearer_one() {
    let calm = || (0..20).map(|n| mood(400, 600 + (n * 7 % 10) * 60));
    assert!(score("sentiment_shift", calm(), &mood(400, 3_500)).unwrap() > 3.0);
    assert_eq!(score("sentiment_shift", calm(), &mood(12, 3_500)), None);
    assert!(score("sentiment_shift", calm(), &mood(12, 9_000)).unwrap() > 3.0);
}

/// One report of viewers is one, and not the average of a minute.
#[test]
fn a_partly_filled_window_of_viewers_must_depart_further() {
    let steady = || (0..20).map(|n| watched(1_000 + n * 7 % 20 * 4));
    let now = |viewers, viewer_events| StreamSummary {
        viewer_sum: viewers * u128::from(viewer_events),
        viewer_events,
        ..Default::default()
    };
    assert!(score("viewer_surge", steady(), &now(1_150, 6)).is_some());
    assert_eq!(score("viewer_surge", steady(), &now(1_150, 1)), None);
    assert!(score("viewer_surge", steady(), &now(1_500, 1)).is_some());
}

#[test]
fn the_detectors_of_the_rules_keep_the_contract() {
    default_rules(3.0).unwrap().iter().for_each(|rule| any_detector_compliance(&rule.detector));
    assert!(default_rules(f64::NAN).unwrap_err().to_string().contains("threshold"));
    assert!(default_rules(9.0).unwrap_err().to_string().contains("samples"));
}
