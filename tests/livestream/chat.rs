//! The chat layer of VADER: what each of its rules does, how well it does on messages rated beforehand, and that plain VADER is
//! as it was.

use std::sync::LazyLock;

use proptest::prelude::*;
use telemetra::livestream::{SENTIMENT_SCALE, Sentiment, Vader};

static CHAT: LazyLock<Vader> = LazyLock::new(Vader::chat);
static PLAIN: LazyLock<Vader> = LazyLock::new(Vader::new);

fn class(message: &str) -> i8 {
    let score = CHAT.score(message, &[]);
    i8::from(score >= 500) - i8::from(score <= -500)
}

#[track_caller]
fn all(expected: i8, messages: &[&str]) {
    for message in messages {
        assert_eq!(class(message), expected, "`{message}` has {}", CHAT.score(message, &[]));
    }
}

#[test]
fn laughter_of_the_common_scripts_is_glad() {
    all(
        1,
        &[
            "ㅋㅋㅋ",
            "대박ㅋㅋ",
            "草",
            "それは草",
            "草www",
            "かわいいｗｗｗ",
            "www",
            "哈哈哈哈",
            "笑死我了",
            "233",
            "kkk",
            "jaja",
            "jajajaja",
            "хаха",
            "АХАХАХ",
            "5555",
            "5555 ตลก",
            "ههههه",
            "חחחח",
            "हाहाहा",
            "rsrsrs",
            "wkwkwk",
            "hhhh",
            "666 这操作",
            "8888",
        ],
    );
    all(0, &["薰衣草", "www.example.org", "KKK", "555", "233 people", "5555 gold", "ㅋ", "aahh"]);
    all(-1, &["ㅠㅠ", "아 ㅠㅠㅠ", "呜呜"]);
}

#[test]
fn laughter_is_one_however_long() {
    for (one, long) in
        [("ㅋㅋ", "ㅋㅋㅋㅋㅋㅋㅋ"), ("哈哈", "哈哈哈哈哈哈"), ("kkk", "kkkkkkkkkk"), ("www", "wwwwwww")]
    {
        assert_eq!(CHAT.score(one, &[]), CHAT.score(long, &[]), "{one}");
    }
    assert_eq!(CHAT.score("not jajaja", &[]), CHAT.score("jajaja", &[]), "no rule touches it");
}

#[test]
fn emoticons_and_what_only_looks_like_one() {
    all(1, &[":D", ":))))", "^_^", "o7", "nice)))", "&lt;3", "<33333"]);
    all(-1, &["D:", ":((((", "T_T", ";_;", "лаги((("]);
    all(0, &["xp farm", "XP", "level 8) done", "roll a d8", "about 5 %)", "A -&gt; B", "&gt;", "f(g(x))"]);
}

#[test]
fn slang_has_its_sense_in_chat() {
    all(
        1,
        &[
            "W",
            "W!!",
            "W W W",
            "huge W",
            "that was sick",
            "the flick was sick",
            "sick",
            "insane",
            "holy shit what a play",
            "I'm dead 💀",
            "im dead",
            "dead",
            "LETS GOOOO",
            "let's go",
            "goated",
            "fuck yeah",
            "no cap",
        ],
    );
    all(
        -1,
        &[
            "L",
            "L take",
            "huge L",
            "cringe",
            "i was sick",
            "I feel sick",
            "dead game",
            "the game is mid",
            "mid",
            "oh no",
            "gg ez",
            "skill issue",
            "kill yourself",
            "nooooo",
        ],
    );
    all(0, &["10 kills", "enemy gun", "press W", "hold w", "No. 1", "no. 1", "No. 12", "No 1"]);
    assert!(CHAT.score("not goated", &[]) < 0, "VADER's rules apply to the words");
    assert_eq!(PLAIN.score("w", &[]), CHAT.score("w", &[]), "a small w may be *with*");
}

#[test]
fn names_commands_and_addresses_say_nothing() {
    all(0, &["@love", "@sick_player hi", "!love", "https://a.example/love", "www.love.example"]);
    all(1, &["love!", "!!! love"]);
}

#[test]
fn emotes_are_known_by_their_suffix() {
    all(1, &["xyzLUL", "abcPog", "pokiTeaHype", "abc7Love2"]);
    all(-1, &["abcSad", "abcRage"]);
    all(0, &["xyzKappa", "iPhone", "YouTube", "LUNAR", "abclul"]);
    let lul = CHAT.score("xyzLUL", &[]);
    assert_eq!(CHAT.score("", &["xyzLUL"]), lul);
    assert_eq!(CHAT.score("xyzLUL", &["xyzLUL"]), lul, "counted once");
    assert_eq!(CHAT.score("not xyzLUL", &[]), lul, "no rule touches it");
    assert_eq!(PLAIN.score("xyzLUL", &["xyzLUL"]), 0);
}

#[test]
fn words_of_your_own_come_before_those_of_the_layer() {
    let own = Vader::chat().with([("sick", -2.3), ("w", -1.0), ("based", 0.0)]).unwrap();
    let score = |message: &str| own.score(message, &[]);
    assert!(score("sick") < -500 && score("that was sick") < -500 && score("W") < -500);
    assert_eq!(score("based"), 0);
    let emotes = Vader::chat().with_emotes([("xyzLUL", -2.0)]).unwrap();
    assert!(emotes.score("xyzLUL", &["xyzLUL"]) < -500);
}

#[test]
fn the_layer_has_an_identity_of_its_own() {
    let (plain, chat) = (PLAIN.identity(), CHAT.identity());
    assert!(chat.contains(", chat ") && !plain.contains("chat"), "{plain} and {chat}");
    assert_eq!(Vader::chat().identity(), chat);
    assert_ne!(Vader::chat().with([("based", 0.1)]).unwrap().identity(), chat);
}

/// The scorer of checkpoints written before there was a layer.
#[test]
fn plain_vader_is_known_as_before() {
    assert_eq!(PLAIN.identity(), "vader 1, 720817b992a2f5e3");
}

/// The share of a file's messages that get the class they were given.
fn accuracy(file: &str, scorer: &Vader) -> f64 {
    let class_of = |line: &str| {
        let mut fields = line.splitn(3, '\t').skip(1);
        let rating: i8 = fields.next().unwrap().parse().unwrap();
        let score = scorer.score(fields.next().unwrap(), &[]);
        rating == i8::from(score >= 500) - i8::from(score <= -500)
    };
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!(lines.len(), 100);
    lines.iter().filter(|line| class_of(line)).count() as f64 / lines.len() as f64
}

/// The words were chosen with the first file in view, and without looking at scores of the second.
#[test]
fn rated_messages_get_their_class() {
    let made = include_str!("corpus/sentiment/chat_made.tsv");
    let held_out = include_str!("corpus/sentiment/chat_held_out.tsv");
    let figures = [made, held_out].map(|file| (accuracy(file, &PLAIN), accuracy(file, &CHAT)));
    println!("plain and chat: {figures:?}");
    let [(plain_made, chat_made), (plain_held_out, chat_held_out)] = figures;
    assert!(chat_made >= 0.9 && plain_made < 0.4, "{figures:?}");
    assert!(chat_held_out >= 0.7 && plain_held_out < 0.4, "{figures:?}");
}

proptest! {
    #[test]
    fn any_text_has_a_score_in_range(
        message in "\\PC{0,80}|[a-zWL':()<>/3!?.&;# ]{0,120}|(ㅋ|草|w|哈|😂|ﷺ|\u{fe0f}|&lt;|no|sick|was|5|goo|xLUL|\\)| ){0,60}",
        emotes in prop::collection::vec("\\PC{0,9}|[a-z]{2}LUL", 0..4),
    ) {
        let emotes: Vec<&str> = emotes.iter().map(String::as_str).collect();
        let score = CHAT.score(&message, &emotes);
        prop_assert!(i64::from(score).abs() <= SENTIMENT_SCALE);
        prop_assert_eq!(score, CHAT.score(&message, &emotes));
    }
}
