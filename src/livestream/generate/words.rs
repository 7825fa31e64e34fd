//! The words of generated chat messages.

pub(super) const EMOTES: [&str; 16] = [
    "PogChamp",
    "Kappa",
    "LUL",
    "KEKW",
    "monkaS",
    "Sadge",
    "HeyGuys",
    "BibleThump",
    "PepeHands",
    "Pog",
    "GG",
    "catJAM",
    "EZ",
    "FeelsGoodMan",
    "NotLikeThis",
    "widepeepoHappy",
];

pub(super) const GOOD: [&str; 32] = [
    "love",
    "great",
    "amazing",
    "awesome",
    "nice",
    "best",
    "good",
    "wow",
    "gg",
    "hype",
    "beautiful",
    "perfect",
    "fun",
    "win",
    "clutch",
    "insane",
    "cool",
    "thanks",
    "happy",
    "epic",
    "sweet",
    "wonderful",
    "brilliant",
    "glad",
    "legend",
    "poggers",
    "excellent",
    "fantastic",
    "lovely",
    "superb",
    "yay",
    "congrats",
];

pub(super) const BAD: [&str; 32] = [
    "bad",
    "awful",
    "terrible",
    "boring",
    "hate",
    "worst",
    "trash",
    "sad",
    "lag",
    "ugly",
    "fail",
    "lose",
    "wrong",
    "annoying",
    "broken",
    "stupid",
    "horrible",
    "cringe",
    "toxic",
    "disappointing",
    "angry",
    "useless",
    "lame",
    "garbage",
    "painful",
    "poor",
    "ruined",
    "scam",
    "sucks",
    "throwing",
    "tilted",
    "unfair",
];

pub(super) const PLAIN: [&str; 64] = [
    "the", "a", "is", "this", "that", "it", "i", "you", "he", "we", "they", "what", "when", "where", "who",
    "just", "now", "here", "there", "again", "today", "stream", "game", "chat", "play", "team", "level",
    "boss", "map", "round", "song", "music", "time", "first", "next", "last", "one", "two", "minute",
    "watching", "playing", "going", "coming", "from", "with", "about", "over", "some", "all", "and", "but",
    "so", "like", "really", "maybe", "still", "never", "always", "people", "look", "see", "know", "think",
    "said",
];

/// Rare messages: characters that an encoder has to escape, and texts with more bytes than characters.
pub(super) const ODD: [&str; 8] =
    ["\"gg ez\"", "o\\/", "café", "naïve", "🔥🔥", "日本語", "5 > 4 && 3 < 4", "tab\there"];

pub(super) const ADJECTIVES: [&str; 16] = [
    "sleepy", "brave", "tiny", "cosmic", "lucky", "silent", "fuzzy", "golden", "rapid", "mellow", "frosty",
    "witty", "sunny", "noble", "spicy", "retro",
];

pub(super) const ANIMALS: [&str; 16] = [
    "otter", "falcon", "panda", "lynx", "gecko", "raven", "koala", "tiger", "badger", "heron", "marmot",
    "viper", "walrus", "bison", "ferret", "moose",
];

pub(super) const TITLES: [&str; 8] = [
    "Road to the top",
    "Chill evening with friends",
    "First playthrough, no spoilers",
    "Charity marathon",
    "Ranked until I win",
    "Making music live",
    "Speedrun practice",
    "Ask me anything",
];

pub(super) const CATEGORIES: [&str; 8] = [
    "Just Chatting",
    "Strategy",
    "Music",
    "Speedruns",
    "Shooters",
    "Art",
    "Science & Technology",
    "Role-playing",
];
