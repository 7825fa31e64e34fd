//! The decoder and the oracle take and refuse the same records, and find the same in them.

use proptest::collection::vec;
use proptest::prelude::*;
use telemetra::core::Arena;
use telemetra::livestream::{EventKind, JsonDecoder};

use super::mutate::mutation;
use super::{decode, oracle};

/// Decodes as each kind and as mixed, and compares. Says how many of these took the record.
pub(crate) fn compare(record: &[u8]) -> Result<usize, TestCaseError> {
    let mut taken = 0;
    for kind in EventKind::ALL.into_iter().map(Some).chain([None]) {
        let decoder = kind.map_or(JsonDecoder::mixed(), JsonDecoder::of);
        let arena = Arena::default();
        let actual = decode(&decoder, record, &arena);
        taken += usize::from(actual.is_ok());
        if let Ok(expected) = oracle::expected(record, kind, &arena) {
            let shown = record.escape_ascii();
            prop_assert_eq!(
                actual.as_ref().ok(),
                expected.as_ref(),
                "as {:?}: `{}`: {:?}",
                kind,
                shown,
                actual
            );
        }
    }
    Ok(taken)
}

/// A field's name, and values that are right for it.
fn member() -> impl Strategy<Value = (String, String)> {
    let strings = |of: &'static [&'static str]| prop::sample::select(of).prop_map(String::from).boxed();
    let number = || "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?".boxed();
    let text =
        || "\"([ -!#-\\[\\]-~é€😀]|\\\\n|\\\\\"|\\\\u00[4-7][0-9a-f]|\\\\ud83d\\\\ude0[0-9]){0,12}\"".boxed();
    let list = || vec(text(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))).boxed();
    let wrong = strings(&[
        "null",
        "true",
        "false",
        "-1",
        "0.5",
        "\"\"",
        "\"7\"",
        "\"\\u0000\"",
        "[]",
        "[1]",
        "{}",
        "[\"a\",[]]",
        "1e3",
        "{\"a\":{\"event_id\":[]}}",
        "12.0",
        "1e21",
        "\"\\ud83d\"",
    ]);
    let time = strings(&[
        "\"2026-01-01T12:00:00Z\"",
        "\"2026-01-01 12:00:00.123456+01:00\"",
        "\"2026-01-01T12:00:00\\u005a\"",
        "\"2026-02-30T12:00:00Z\"",
    ]);
    let words = [
        (&["event_id", "stream_id", "user_id", "username", "message", "new_title", "unknown"][..], text()),
        (&["timestamp", "started_at", "ended_at"], time),
        (&["viewer_count", "unique_viewers", "peak_viewers", "amount", "duration_minutes"], number()),
        (&["viewer_count", "amount"], (0..2_000_u32).prop_map(|n| n.to_string()).boxed()),
        (&["emotes", "badges"], list()),
        (&["is_subscriber", "is_moderator"], strings(&["true", "false"])),
        (&["transaction_type"], strings(&["\"donation\"", "\"subscription\"", "\"bits\"", "\"gift\""])),
        (&["currency"], strings(&["\"USD\"", "\"EUR\"", "\"bits\"", "\"usd\""])),
        (&["event_type"], strings(&["\"stream_start\"", "\"title_change\"", "\"raid\""])),
        (&["topic"], strings(&["\"chat\"", "\"viewer\"", "\"telemetra.events.stream_meta\"", "\"no\""])),
    ];
    let members = words.map(|(names, values)| {
        let values = prop_oneof![12 => values, 1 => wrong.clone()];
        (prop::sample::select(names).prop_map(String::from), values).boxed()
    });
    prop::strategy::Union::new(members)
}

/// Records with what every kind needs, and more: in any order, some twice.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let base = ["event_id", "stream_id", "user_id", "username", "message"]
        .map(|n| (n.to_owned(), "\"x\"".to_owned()));
    let time = ("timestamp".to_owned(), "\"2026-01-01T12:00:00.5Z\"".to_owned());
    let base: Vec<_> = base.into_iter().chain([time]).collect();
    let space = prop::sample::select(&["", "", "", " ", "\n\t"][..]);
    (prop::sample::subsequence(base, 4..=6), vec(member(), 0..8), space)
        .prop_flat_map(|(base, more, space)| {
            let members = base.into_iter().chain(more).collect::<Vec<_>>();
            (Just(members).prop_shuffle(), Just(space))
        })
        .prop_map(|(members, s)| {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("{s}\"{name}\"{s}:{s}{value}{s}")).collect();
            format!("{s}{{{}}}{s}", members.join(",")).into_bytes()
        })
}

proptest! {
    #[test]
    fn agrees_with_serde_json(record in record(), mutations in vec(mutation(), 0..3)) {
        compare(&record)?;
        let mut mutated = record;
        for mutation in mutations {
            mutation.apply(&mut mutated);
        }
        compare(&mutated)?;
    }
}

#[test]
fn the_generator_makes_records_that_decode() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let taken =
        (0..200).filter(|_| compare(&record().new_tree(&mut runner).unwrap().current()).unwrap() > 0).count();
    assert!((40..200).contains(&taken), "{taken} of 200 records decode");
}
