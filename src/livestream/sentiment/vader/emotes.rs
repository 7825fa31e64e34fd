//! The most common emotes of live chats. No published values are free to use, so each emote has the valence
//! of the lexicon's word for what it shows.

/// A word of the lexicon, and the emotes that have its valence. Emotes that are often ironic (`Kappa`,
/// `4Head`) or that show no mood have none.
pub(super) const EMOTES: &[(&str, &str)] = &[
    ("love", "LuvHearts bleedPurple TwitchUnity GivePLZ peepoLove"),
    ("great", "PogChamp PogU PagMan KomodoHype TwitchLit POGGERS poggies"),
    ("amazed", "Pog Kreygasm HYPERS"),
    ("joy", "FeelsAmazingMan PartyTime PartyPopper PartyHat widepeepoHappy"),
    ("happy", "FeelsGoodMan peepoHappy AYAYA VirtualHug peepoHug OhMyDog"),
    ("lmao", "OMEGALUL OMEGALAUGH"),
    ("laughing", "LUL LULW KEKW EleGiggle PepeLaugh"),
    ("applause", "Clap EZClap peepoClap"),
    ("approved", "SeemsGood VoteYea Okayge"),
    ("strong", "FeelsStrongMan TakeNRG PowerUpL PowerUpR BloodTrail"),
    ("party", "catJAM pepeJAM pepeD PepePls vibePls"),
    ("greetings", "HeyGuys VoHiYo KonCha peepoHey"),
    ("hopeful", "BlessRNG"),
    ("cool", "CoolCat GlitchCat"),
    ("awkward", "WeirdChamp haHAA Weirdge Pepega"),
    ("nervous", "monkaS monkaW monkaGIGA monkaX"),
    ("shocked", "WutFace monkaOMEGA"),
    ("boring", "ResidentSleeper"),
    ("desperate", "Copium Copege"),
    ("mad", "SwiftRage BabyRage Madge PJSalt"),
    ("sad", "BibleThump FeelsBadMan PepeHands Sadge peepoSad"),
    ("disgusted", "DansGame VoteNay"),
    ("disappointed", "FailFish NotLikeThis"),
];
