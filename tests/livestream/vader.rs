//! VADER: that it scores as the reference implementation does, where it does not and why, and that nothing can hurt it.

use std::sync::LazyLock;

use proptest::prelude::*;
use telemetra::livestream::{SENTIMENT_SCALE, Sentiment, Vader};
use vader_sentiment::{LEXICON, SentimentIntensityAnalyzer};

static PLAIN: LazyLock<Vader> = LazyLock::new(Vader::without_emotes);
static CHAT: LazyLock<Vader> = LazyLock::new(Vader::new);

fn plain(message: &str) -> i32 {
    PLAIN.score(message, &[])
}

/// Invented texts, most of them made of the words that rules are about, with the scores of the Python package
/// `vaderSentiment` 3.3.2.
#[test]
fn scores_are_those_of_the_reference() {
    let mut lines = 0;
    for line in include_str!("corpus/sentiment/vader.tsv").lines() {
        let (expected, text) = line.split_once('\t').unwrap();
        assert_eq!(plain(text), expected.parse::<i32>().unwrap(), "`{text}`");
        lines += 1;
    }
    assert_eq!(lines, 1_500);
}

/// A text, our score, and that of the reference.
#[test]
fn where_we_differ_from_the_reference() {
    for (text, ours, reference) in [
        // Two letters and a mark are a word, if they are no emoticon; one that modifies nothing behind the mark.
        ("gg!", 3_595, 0),
        ("no, this is great", 4_404, 6_249),
        // An emoji ends where it ends, and has no use for the sign that asks for colour.
        ("😂lol", 6_908, -2_263),
        ("❤️", 6_369, 0),
        // What stands before *but* is halved once, even if something behind it is worth half of it.
        ("love but relieved", 7_184, 5_267),
        // Telephones write another apostrophe.
        ("don’t love it", -5_216, 6_369),
        // The reference lowers the text and not its list, so it cannot find this one.
        (":Þ", 2732, 0),
    ] {
        assert_eq!(plain(text), ours, "`{text}`");
        assert_ne!(ours, reference, "`{text}`");
    }
}

fn compound(sum: f64) -> i32 {
    (sum / (sum * sum + 15.0).sqrt() * SENTIMENT_SCALE as f64).round() as i32
}

/// Emoticons that the list has in small letters and in capitals. The crate keeps the last of them, the reference finds
/// only the former.
const TWICE: [&str; 10] = ["(-:o", "(:o", ":-d", ":d", ":p", ";d", "=-d", "=d", "o.o", "o_o"];

#[test]
fn every_word_of_the_published_lexicon_has_its_valence() {
    let mut words = 0;
    for (word, &valence) in LEXICON.iter() {
        let word = word.as_ref();
        // Those with a space in them or punctuation around them are never met.
        if !word.contains(' ') && word != "^urs" && !TWICE.contains(&&*word.to_lowercase()) {
            assert_eq!(plain(word), compound(valence), "`{word}`");
            words += 1;
        }
    }
    assert!(words > 7_400, "{words} words");
}

#[test]
fn emotes_count_once_and_no_rule_touches_them() {
    let score = |message: &str, emotes: &[&str]| CHAT.score(message, emotes);
    let sad = compound(-2.1);
    assert_eq!(score("Sadge", &[]), sad);
    assert_eq!(score("", &["Sadge"]), sad);
    assert_eq!(score("Sadge", &["Sadge"]), sad, "it is the same one");
    assert_eq!(score("sadge Sadge", &["Sadge"]), compound(-4.2));
    assert_eq!(score("", &["Sadge", "BibleThump", "Unknown"]), compound(-4.2));
    assert_eq!(score("not Sadge", &[]), sad, "a negation does not reach it");
    assert_eq!(score("very SADGE", &[]), sad, "nor do boosters and capitals");
    assert_eq!(score("GREAT KEKW", &[]), compound(3.1 + 2.2), "it is not what makes capitals stand out");
    assert_eq!(score("good but Sadge", &[]), compound(1.9 / 2.0 - 2.1 * 1.5));
    assert_eq!(score("good", &["but", "very", "great", ""]), plain("good"), "words are no emotes");
    assert_eq!(PLAIN.score("Sadge", &["Sadge"]), 0);
}

#[test]
fn words_and_emotes_of_your_own() {
    let vader = Vader::new()
        .with([("cracked", 2.5), ("GOOD", -1.0), ("🔥", 3.0), ("Sadge", -1.0), ("o7", 0.5), ("très", 1.0)])
        .and_then(|vader| vader.with_emotes([("channelHype", 2.0), ("KEKW", 0.0), ("good", 1.0)]))
        .unwrap();
    let score = |message: &str| vader.score(message, &[]);
    assert_eq!(score("cracked"), compound(2.5));
    assert_eq!(score("very cracked"), compound(2.5 + 0.293));
    assert_eq!(score("wow🔥"), compound(2.8 + 3.0));
    assert_eq!(score("not Sadge"), compound(0.74), "a word now, and no emote");
    assert_eq!(score("o7!"), compound(0.5 + 0.292));
    assert_eq!(score("TRÈS!"), compound(1.0 + 0.292));
    assert_eq!(score("not channelhype"), compound(2.0));
    assert_eq!(vader.score("", &["channelHype", "KEKW"]), compound(2.0));
    assert_eq!(score("very good"), compound(1.0), "an emote now");
    assert_eq!(Vader::new().with([("very", 1.0)]).unwrap().score("very", &[]), 0, "boosters only boost");
}

#[test]
fn what_cannot_be_met_is_refused() {
    let long = "x".repeat(65);
    for word in ["", " ", "two words", "good!", "(good", &long] {
        let error = Vader::new().with([(word, 1.0)]).unwrap_err().to_string();
        assert!(error.contains("vader") && error.contains(&format!("`{word}`")), "{error}");
    }
    for valence in [4.1, -4.1, f64::NAN, f64::INFINITY] {
        assert!(Vader::new().with([("word", valence)]).is_err());
        assert!(Vader::new().with_emotes([("word", valence)]).is_err());
    }
    let many = |count: usize| Vader::without_emotes().with_emotes((0..count).map(|n| (format!("e{n}"), 1.0)));
    let full = many(448).unwrap();
    assert_eq!(full.score("e447", &["e447", "e0"]), compound(2.0));
    assert!(many(449).unwrap_err().to_string().contains("`e448`"));
    assert!(
        full.with_emotes([("e5", 2.0)]).unwrap().score("e5", &[]) > compound(1.0),
        "no more, but another"
    );
}

/// Words on which the crate and the reference have the same rules. It leaves out words of one letter, takes *at least* for
/// a negation, does not know *no*, and reads boosters into other words from the fourth word on.
fn words() -> impl Strategy<Value = String> {
    let listed: Vec<&str> = LEXICON
        .keys()
        .map(|word| word.as_ref())
        .filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        .collect();
    const MODIFIERS: [&str; 11] =
        ["very", "hardly", "not", "isn't", "never", "so", "without", "doubt", "stream", "this", "uber"];
    let word = prop_oneof![
        4 => prop::sample::select(listed),
        3 => prop::sample::select(&MODIFIERS[..]),
    ];
    let loud =
        word.prop_flat_map(|word| prop_oneof![3 => Just(word.to_owned()), 1 => Just(word.to_uppercase())]);
    let marks =
        prop_oneof![3 => Just(""), 1 => Just("!"), 1 => Just("!!!"), 1 => Just("??"), 1 => Just("????")];
    (prop::collection::vec(loud, 1..4), marks).prop_map(|(words, marks)| words.join(" ") + marks)
}

static CRATE: LazyLock<SentimentIntensityAnalyzer<'static>> = LazyLock::new(SentimentIntensityAnalyzer::new);

proptest! {
    #[test]
    fn short_texts_score_as_with_the_crate(text in words()) {
        let compound = |text: &str| CRATE.polarity_scores(text)["compound"];
        // It takes marks for a bad sign where nothing else is a sign. What floats leave where signs cancel out is one.
        let is_moody = compound(text.trim_end_matches(['!', '?'])) != 0.0;
        let theirs = if is_moody { (compound(&text) * SENTIMENT_SCALE as f64).round() as i32 } else { 0 };
        prop_assert_eq!(plain(&text), theirs);
    }

    #[test]
    fn any_text_has_a_score_in_range(
        message in "\\PC{0,80}|[a-z':()<>/3!?. ]{0,120}|(good|not|but|NO|😂|\u{fe0f}|\u{2019}|\u{3000}|[A-Z]|n't| ){0,60}",
        emotes in prop::collection::vec("\\PC{0,9}", 0..4),
    ) {
        let emotes: Vec<&str> = emotes.iter().map(String::as_str).collect();
        let score = CHAT.score(&message, &emotes);
        prop_assert!(i64::from(score).abs() <= SENTIMENT_SCALE);
        prop_assert_eq!(score, CHAT.score(&format!(" \u{a0}{message}\u{2003}\t"), &emotes));
    }
}
