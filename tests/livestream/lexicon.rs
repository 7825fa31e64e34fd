//! The lexicon: what it makes of what people write, and that nothing they write can hurt it.

use std::sync::LazyLock;

use proptest::prelude::*;
use telemetra::livestream::{Lexicon, SENTIMENT_SCALE, Sentiment};

#[test]
fn the_mood_of_a_chat() {
    let lexicon = Lexicon::english();
    let score = |message: &str| lexicon.score(message, &[]);
    for good in [
        "GG WP that was insane!!!",
        "love this stream <3",
        "LUL",
        "POGCHAMP",
        "good:)",
        "not bad at all",
        "\u{2764}\u{fe0f}",
        "\u{1f602}\u{1f602}",
        "don't hate it",
        "no, this is great",
        "don\u{2019}t hate it",
        "what a \"great\" play",
    ] {
        assert!(score(good) > 500, "`{good}` has {}", score(good));
    }
    for bad in [
        "this is so BAD",
        "worst play ever",
        "boring...",
        "not good",
        "I don't like it, terrible",
        "NotLikeThis",
        "ugh :(",
        "trash_team is trash",
        "\u{1f44e}",
        "never fun",
        "isn\u{2019}t funny",
        "D: >:(",
    ] {
        assert!(score(bad) < -500, "`{bad}` has {}", score(bad));
    }
    for neutral in [
        "",
        "hello",
        "http://example.com",
        "<30 seconds",
        "the goodness_of_fit",
        ":",
        "not",
        "\u{fe0f}",
        "a:/b",
    ] {
        assert_eq!(score(neutral), 0, "`{neutral}`");
    }
}

#[test]
fn emotes_count_by_name_and_negate_nothing() {
    let lexicon = Lexicon::english();
    assert_eq!(lexicon.score("not", &["pogchamp"]), 8_000);
    assert_eq!(lexicon.score("", &["PogChamp", "NotLikeThis", "Unknown"]), 1_000);
    assert_eq!(lexicon.score("", &["not", &"x".repeat(10_000)]), 0);
}

#[test]
fn words_of_your_own() {
    let long = "donaudampfschifffahrtsgesellschaft";
    let lexicon = Lexicon::from_pairs([(long, 1.0), ("gr\u{fc}n", 0.5), ("o7", -1.0)]).unwrap();
    assert_eq!(lexicon.len(), 3);
    assert_eq!(lexicon.score("eine DonauDampfSchifffahrtsGesellschaft", &[]), 10_000);
    assert_eq!(lexicon.score("alles gr\u{fc}n", &[]), 5_000);
    assert_eq!(lexicon.score("good", &[]), 0);
    let more = Lexicon::english().with([("good", -0.25), ("(-:", 0.5), ("\u{2764}\u{fe0f}", 0.1)]).unwrap();
    assert_eq!(more.score("good", &[]), -2_500);
    assert_eq!(more.score("hm (-:", &[]), 5_000);
    assert_eq!(more.score("\u{2764}\u{fe0f}", &[]), 1_000);
    assert_eq!(more.len(), Lexicon::english().len() + 1);
}

#[test]
fn words_that_cannot_be_met_are_refused() {
    let too_long = "x".repeat(65);
    for word in ["", " ", "a b", "a-b", "!", ":-(((", "\u{1f602}\u{1f602}", &too_long] {
        assert!(Lexicon::from_pairs([(word, 0.5)]).is_err(), "`{word}`");
    }
    for weight in [1.1, -1.1, f64::NAN, f64::INFINITY] {
        assert!(Lexicon::from_pairs([("word", weight)]).is_err());
    }
    for (text, says) in [
        ("good 0.1\nbad\n", "line 2"),
        ("good x", "line 1: `x`, of `good`, is not a number"),
        ("good 0.1 0.2", "line 1"),
        ("\n\ngood 2", "line 3: the weight 2 of `good`"),
        ("good 0.1\r\ntwo-words 0.2\r\n", "line 2: `two-words` is not one word"),
        ("a-b not", "line 1: `a-b` is not one word"),
    ] {
        let error = Lexicon::from_reader(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(Lexicon::from_reader(&b"\xff 0.1"[..]).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn any_script_in_either_case() {
    let lexicon = Lexicon::from_pairs([
        ("grün", 0.5),
        ("ХОРОШО", 0.5),
        ("καλός", 0.5),
        ("अच्छा", 0.5),
        ("می\u{200c}خواهم", 0.5),
        ("좋아요", 0.5),
        ("c’est", 0.5),
        ("d’accord", 0.5),
    ])
    .unwrap();
    for text in [
        "alles GRÜN!",
        "«Хорошо»",
        "ΚΑΛΌΣ,",
        "बहुत अच्छा।",
        "می\u{200c}خواهم؟",
        "میخواهم",
        "좋아요❤️",
        "C'EST",
        "“d’accord”",
    ] {
        assert_eq!(lexicon.score(text, &[]), 5_000, "`{text}`");
    }
    for text in ["grünes", "не-хорошего", "immergrün", "d’", "’", "\u{200d}"] {
        assert_eq!(lexicon.score(text, &[]), 0, "`{text}`");
    }
    assert_eq!(lexicon.score("", &["GRÜN"]), 5_000);
}

#[test]
fn scripts_without_spaces_are_read_by_the_longest_word() {
    let pairs = [
        ("好", 0.5),
        ("好奇", 0.1),
        ("糟糕", -0.6),
        ("すごい", 0.8),
        ("ดีมาก", 0.9),
        ("ดี", 0.4),
        ("lol", 0.2),
    ];
    let lexicon = Lexicon::from_pairs(pairs).unwrap().with_negations(["不", "ไม่"]).unwrap();
    for (text, score) in [
        ("这个游戏好", 5_000),
        ("我很好奇", 1_000),
        ("好好好", 5_000),
        ("好糟糕", -500),
        ("不好", -3_750),
        ("不，好", 5_000),
        ("不。好", 5_000),
        ("不这个游戏好", 5_000),
        ("超すごいlol", 5_000),
        ("lolすごい！", 5_000),
        ("เกมนี้ดีมากเลย", 9_000),
        ("ไม่ดี", -3_000),
        ("游戏", 0),
    ] {
        assert_eq!(lexicon.score(text, &[]), score, "`{text}`");
    }
}

#[test]
fn negations_are_those_of_the_list() {
    let pairs = [("gut", 0.5), ("bueno", 0.5)];
    let lexicon = Lexicon::from_pairs(pairs).unwrap().with_negations(["nicht", "no"]).unwrap();
    assert_eq!(lexicon.score("nicht so gut", &[]), -3_750);
    assert_eq!(lexicon.score("no es bueno", &[]), -3_750);
    assert_eq!(lexicon.score("not bueno", &[]), 5_000, "English is another language");
    assert_eq!(lexicon.len(), 2);
    assert!(lexicon.with_negations(["gar nicht"]).unwrap_err().to_string().contains("`gar nicht`"));
}

#[test]
fn a_file_of_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.txt");
    std::fs::write(&path, "\u{feff}# Deutsch\r\n\r\ntoll\t0.8\r\n# 0.3\r\na-b 0.1\r\nnicht not\r\n").unwrap();
    let error = Lexicon::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("words.txt, line 5: `a-b` is not one word"), "{error}");
    std::fs::write(&path, "\u{feff}# Deutsch\r\n\r\ntoll\t0.8\r\n# 0.3\r\nnicht not\r\n").unwrap();
    let lexicon = Lexicon::from_file(&path).unwrap();
    assert_eq!((lexicon.len(), lexicon.score("nicht toll", &[])), (1, -6_000));
    let error = Lexicon::from_file(folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("none cannot be opened"), "{error}");
}

static WIDE: LazyLock<Lexicon> = LazyLock::new(|| {
    let pairs = [("好", 0.5), ("好奇", 0.1), ("très", 1.0), (":Þ", -1.0)];
    Lexicon::from_pairs(pairs).and_then(|lexicon| lexicon.with_negations(["不"])).unwrap()
});
static ENGLISH: LazyLock<Lexicon> = LazyLock::new(Lexicon::english);

proptest! {
    #[test]
    fn any_text_has_a_score_in_range(message in "\\PC{0,80}|[a-z':()<>/3!. ]{0,120}|[好奇不’é。Þ:a' ]{0,60}", emotes in prop::collection::vec("\\PC{0,9}", 0..4)) {
        let emotes: Vec<&str> = emotes.iter().map(String::as_str).collect();
        let score = ENGLISH.score(&message, &emotes);
        prop_assert!(i64::from(score).abs() <= SENTIMENT_SCALE);
        prop_assert_eq!(score, ENGLISH.score(&message.to_ascii_uppercase(), &emotes));
        let wide = WIDE.score(&message, &emotes);
        prop_assert!(i64::from(wide).abs() <= SENTIMENT_SCALE);
    }
}
