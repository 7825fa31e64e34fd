//! The words of the chat layer, each group with its reason. The choice is our own judgement, and
//! `docs/chat-words.md` has the same tables.

/// Items with one valence and one reason.
pub(super) struct Group {
    /// The valence in tenths, from −40 to 40 as in VADER.
    pub(super) tenths: i8,
    /// The items, separated by white space; phrases are separated by commas, with `/` between alternative
    /// words.
    pub(super) items: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the table of the docs to it"))]
    pub(super) why: &'static str,
}

const fn group(tenths: i8, items: &'static str, why: &'static str) -> Group {
    Group { tenths, items, why }
}

/// The valence of all laughter: the same as *haha* in the lexicon.
pub(super) const LAUGHTER: i8 = 20;
/// The valence of weeping: the same as *cry*.
pub(super) const WEEPING: i8 = -21;
/// The valence of applause in figures (888, 666): the same as *applause*.
pub(super) const APPLAUSE: i8 = 18;
/// The valence of two or more brackets at a word's end, which Russian chats use as a smile: half of `:)`.
pub(super) const BRACKETS: i8 = 10;
/// The valence of a `W`.
pub(super) const WIN: i8 = 18;

/// Words and emoticons with a valence in VADER that have none in chat. Everyday words (*like*, *no*, *play*,
/// *dead*) keep VADER's valence.
pub(super) const NEUTRAL: &[Group] = &[
    group(
        0,
        "kills enemy enemies attack attacks weapon weapons gun guns damage ghost ghosts hero heroes champion champions poison \
         demon demons warrior warriors shot shots bomb bombs battle battles",
        "what there is in a game, not what the writer feels",
    ),
    group(
        0,
        "xp d8 8d dx jp kia mia po jj kk lts nh bl pu gt btd wd rig fyi ijs ayc afu aml doa fkm gla gga jt jw kfy mlm mml nfc \
         nfw nme urw vbg vbs wag jho iyq 182 187 86 143 1432 1337 14aa41 5fs 10q 4q 2g2b4g aug-00",
        "abbreviations that are something else in chat (experience points, a die, countries, a PC), and figures",
    ),
    group(0, "8) 8-d 0-8 (8 %) (% $: @: o: s: *) (?: /:", "parts of a list, an amount or an address"),
    group(0, ":o :-o", "surprise, of any mood"),
];

/// Words that have a sense of their own in chat. VADER's rules apply to them.
pub(super) const WORDS: &[Group] = &[
    group(30, "goated", "the highest praise for a person"),
    group(
        24,
        "cracked clutch banger peak wholesome hyped letsgo unreal flawless",
        "praise for a play, a song, a stream",
    ),
    group(
        19,
        "based slaps bop lit crisp filthy nutty legend legends queen chad ace pentakill pogging sheesh bussin iconic \
         underrated smashed nailed",
        "praise too, milder or at times a plain word",
    ),
    group(18, "wp ggwp ggs glhf hf gratz gz", "courtesies of games"),
    group(8, "nt valid comfy cozy crispy woah whoa", "mostly approval, at times surprise alone"),
    group(10, "carry carried carrying", "to win for a whole team"),
    group(20, "yesss", "*yes*, drawn out"),
    group(
        20,
        "lulz kek xd xdd xddd mdr ptdr jsjs xswl lolz ржу лол кек",
        "laughter that is written as a word",
    ),
    group(10, "uwu owo ^^ ^-^ ^w^ :)) :))) =)) c: :-3 (^^) o/", "a smile, a wave"),
    group(18, "(^_^) (^o^) (^-^) ^_^ ^o^ \\o/ \\(^o^)/ (≧▽≦) o7 07", "joy, and a salute"),
    group(-12, "d: d-: d= dx: :(( :((( =(( :c(", "dismay: the mouth is below"),
    group(-15, "t_t t-t t.t ;_; ;-; ;( (t_t) (;_;) q_q qq orz otz ._. u_u :c", "weeping and sadness"),
    group(-10, "-_- -.- =_= >_< >_> <_< -__- ಠ_ಠ 눈_눈", "annoyance"),
    group(-15, "l ls", "a loss, a lapse"),
    group(
        -20,
        "cringe cringy cringey trash garbage bozo clown clowns rigged griefing griefer griefed inting trolling unplayable toxic \
         malding seethe smurfing hacker hackers cheater cheaters cheating",
        "contempt and complaint",
    ),
    group(
        -12,
        "yikes oof cope scuffed laggy lagging lags tilted tilt delusional sellout p2w mald rekt eww ewww",
        "the same, milder",
    ),
    group(-35, "kys", "abuse"),
    group(-8, "bruh sus ff15 meh wtf wth nooo f rip dogwater", "annoyance and regret, often in jest"),
];

/// Words that, as a whole message apart from emotes, emoji and laughter, have another sense than in a
/// sentence.
pub(super) const ALONE: &[Group] = &[
    group(
        22,
        "sick insane crazy nasty savage wild nuts disgusting fire clean smooth beast king goat",
        "praise, called out",
    ),
    group(20, "dead dying crying deceased screaming", "laughter"),
    group(-15, "mid ff throwing washed boring", "complaint, called out"),
];

/// Phrases of two or three words. Their words no longer count by themselves, and VADER's rules apply to the
/// whole phrase.
pub(super) const PHRASES: &[Group] = &[
    group(
        20,
        "i'm/im/am dead, i'm/im/am dying, i'm/im/am crying, i'm/im/am deceased, i'm/im/am screaming, can't/cant stop laughing, \
         can't/cant breathe, dead/dying/crying lmao/lol/lmfao",
        "laughter",
    ),
    group(
        22,
        "what a play/shot/save/goal/game/clutch/beast/legend/god/king/run/win/banger, \
         sick/insane/crazy/nasty/disgusting/nuts/wild play/plays/shot/clip/clutch/aim/skill/skills/save/goal/run/song/beat/combo/comeback/move/moves/build, \
         was/looks sick, that's/thats/absolutely sick, this/it is sick, is/was/that's/thats/so/actually/absolutely insane/nuts/fire, \
         crazy/insane good, good/nice/great/crazy/insane shit, this/pure/straight fire, the goat, too good, well played, \
         let's/lets go/goo/gooo, let's/lets fucking go, hell/fuck yeah/yes, nailed it, killed it, crushed it, pop/popping/popped off, \
         first try, not even close, hits different, so back, so/super clean, \
         big/huge/massive/fat/major w, w chat/stream/streamer/play/take/mods/mod/song/man/guy",
        "praise and triumph",
    ),
    group(
        8,
        "holy shit/fuck/hell/crap/moly/cow, no cap, nice try, clip that/it",
        "astonishment, more often glad",
    ),
    group(
        0,
        "no way/worries/problem/prob/wonder/need/shot, press/hold/holding/hit/spam w/l/f, w/l/f key, free to play, \
         sick/insane/beast/god mode, damn that/this/he/she/bro/son/boy/dude, kill the/him/them/her/it, killed by, fire/ice/water damage, \
         fire rate/mage/wall, no. #, no #, game over",
        "names, orders and ways of speaking that have words of a mood in them",
    ),
    group(
        -15,
        "i/he/she/we/they/who was sick, so sick of, oh no, no no, so over, fell off, so/is/kinda/pretty/very/was mid, \
         mid af/asf/game/take/stream/song, is/so/he's/hes/kinda washed, so done, gg ez, go next, just ff, skill issue, touch grass, \
         get/git gud/good, cry about it, cry more, stay mad, what a shame/joke/waste/mess, is/stop/keeps/he's throwing, \
         pay to win, damn/goddamn it, not even funny",
        "weariness, complaint and mockery",
    ),
    group(
        -20,
        "dead game/chat/stream/server/channel/meme, big/huge/massive/fat/major l, take/took/taking/hold the/that/an l, \
         l take/stream/streamer/chat/ratio/mods/mod/bozo/play/man/guy, what a loser/clown/bot/noob, \
         shit game/play/take/stream/player, a bot, trash team/game",
        "contempt",
    ),
    group(-35, "kill yourself/urself/yourselves, go die", "abuse"),
];

/// Emoji whose valence differs from the words of their names.
pub(super) const EMOJI: &[Group] = &[
    group(
        20,
        "🤣 🔥 💯 🏆 🐐 🎉 🎊 👑 🥳 🤩 🥹 😻 💖 💕 💜 💙 💚 🧡 💛",
        "joy, praise and love, whose names say less",
    ),
    group(18, "👏 👍 🙌 💪 🤝 🫡 🫶 🚀 🥇", "approval"),
    group(
        12,
        "💀 ☠ 😭 🙏 😎 🥺 ✨ 😈 🤯 🥵",
        "mostly laughter, delight or praise in chat; *skull* has no valence, *crying* a bad one",
    ),
    group(0, "👀 🤔 🤨 😮 😳 🔫 💣 ⚔ 🆗 🆘 ⚰ 😐 😅", "looking, thinking, the game"),
    group(-12, "🙄 😑 😬 🤦 😴 🥱 😔 😞 😒 🫠 😩 😫", "weariness and shame"),
    group(-20, "👎 🤡 💩 🤮 🤢 😡 🤬 😤 🖕 💔 😢 😠 😰 😱", "contempt, anger and grief"),
];

/// Emotes of all channels that are not in VADER's table here. No rule changes their valence.
pub(super) const EMOTES: &[Group] = &[
    group(22, "LULE KEKL ICANT WAJAJA peepoGiggles OMEGALULiguess LMAOO pepeLaughing", "laughter"),
    group(28, "POGCRAZY GIGACHAD EZY PogBones LETSGOO PauseChampW Gladge FeelsWowMan", "joy and praise"),
    group(12, "FeelsOkayMan NODDERS ratJAM OMEGADANCE peepoComfy Jebaited 5Head", "contentment"),
    group(
        0,
        "Kappa KappaPride Keepo 4Head TriHard PauseChamp monkaHmm Clueless Aware Bedge NOWAYING AINTNOWAY HUH Lurk",
        "irony and suspense: known, and worth nothing",
    ),
    group(-13, "Susge Deadge NOPERS 3Head Stare modCheck", "doubt and tedium"),
    group(-21, "Smadge Despairge FeelsWeakMan PepeSad peepoCry BASEDCIGAR", "grief and anger"),
];

/// The suffixes of channels' emotes, after the channel's prefix of small letters and digits.
pub(super) const SUFFIXES: &[Group] = &[
    group(22, "LUL LULW Lul Lol Laugh Kek KEKW Haha Lmao Rofl Giggle", "laughter"),
    group(
        28,
        "Pog PogChamp Pogger Poggers PogU Hype Hyped Woo Wow Yay Win W GG Ez Goat King Queen Fire Lit Champ",
        "joy and praise",
    ),
    group(27, "Love Heart Hearts Luv Hug Hugs Kiss Cute Aww Happy Smile Joy Uwu", "love and happiness"),
    group(
        18,
        "Clap Cheer Cheers Nice Cool Hi Hello Hey Wave Salute Dance Jam Party Vibe Cozy Comfy Gg Yes Good Blush O7",
        "approval and greetings",
    ),
    group(
        0,
        "Kappa Lurk Think Hmm What Sip Eyes Stare Sus Shrug Derp Omg",
        "irony and suspense: known, and worth nothing",
    ),
    group(
        -13,
        "Panic Scared Fear Monka S Sweat Nervous Tired Sleep Bored Meh Facepalm Fail Cringe Yikes No L F Rip Oof Cope",
        "worry, tedium and shame",
    ),
    group(-21, "Sad Cry Tears Rage Mad Angry Salt Salty Tilt Hate Bleh Gross Puke Toxic", "grief and anger"),
];

/// Fragments that are found at any position of a text whose script has no spaces, or of a piece of Korean,
/// the longest first.
pub(super) const FRAGMENTS: &[Group] = &[
    group(
        LAUGHTER,
        "大草原 草生 笑死 笑疯 笑哭 哈哈 嘻嘻 嘿嘿 ワロタ わろた ワロス （笑） (笑) ｗ ㅋㅋ ㅎㅎ ฮ่าฮ่า ฮ่า",
        "laughter",
    ),
    group(
        20,
        "かわいい 可愛い すごい すげえ すげー 最高 神回 うまい ナイス やったー おめでとう ありがとう 厉害 牛逼 牛批 太强 好棒 加油 可爱 好看 喜欢 恭喜 谢谢 \
         대박 최고 귀여 사랑해 좋아 고마워 감사 สุดยอด น่ารัก",
        "praise and thanks",
    ),
    group(
        -20,
        "最悪 つらい 下手 うざい つまらん 垃圾 菜鸡 无聊 恶心 难受 心疼 可惜 최악 노잼 짜증",
        "complaint and regret",
    ),
    group(WEEPING, "ㅠㅠ ㅜㅜ ㅠ ㅜ 呜呜 泣", "weeping"),
];
