//! The built-in lexicon: everyday English, and words of stream chats. The weights are our own judgement.

/// Words by weight, in units of `1 /` [`SENTIMENT_SCALE`](crate::livestream::SENTIMENT_SCALE).
pub(super) const ENGLISH: &[(i32, &str)] = &[
    (
        9_000,
        "amazing awesome brilliant incredible perfect phenomenal outstanding magnificent masterpiece flawless \
         spectacular stunning superb wonderful fantastic fabulous legendary goated unbelievable adore adorable \
         best love loved loves loving luv ily blessed breathtaking exceptional extraordinary marvelous",
    ),
    (
        7_000,
        "beautiful beast clutch cracked crushed delighted ecstatic epic excellent excited exciting gorgeous great \
         greatest happy happiest hype hyped hilarious insane insanely impressive impressed iconic joy joyful king \
         lit lovely legend legends majestic nailed poggers queen sick sweet superstar thrilled thrilling terrific \
         triumph victory winner wholesome wow yay yess champion congratulations congrats congratz goat glorious",
    ),
    (
        5_000,
        "ace appreciate appreciated bravo charming cheer cheers clean clever cool cozy creative cute dope elegant \
         enjoy enjoyed enjoying enjoys entertaining fan favorite favourite fire fresh friendly fun funny generous \
         gg ggs ggwp gifted glad good goodness grateful heart hero hooray huge inspiring kindness laugh laughing lmao \
         lmfao lol loool nice nicest nicely noice party pleased pleasure pog poggies positive pro proud rofl \
         skilled slay smart smile smiling smooth solid strong talented talent thank thanks thankful thx ty tysm vibe \
         vibes vibing warm welcome win winning wins won wp yes yeet woohoo worthy xd haha hahaha hahahaha hehe",
    ),
    (
        3_000,
        "agree agreed alive better bless brave bright calm care celebrate chill comfy correct cosy decent easy ez \
         fair fine fortunate gift gifts gj gl glhf helpful helped hope hopeful hug hugs improved improving interesting \
         interested lucky luck nt okay ok peace peaceful please polite promising ready recommend relax relaxed \
         relaxing respect safe satisfied save saved sharp special stable support supporting supportive trust useful \
         valid well wise worth yep yup",
    ),
    (
        -3_000,
        "alone awkward bored bummer careful concern concerned confused confusing crash crashed disconnect doubt \
         dropped expensive fear fell forgot freeze frozen hmm lag lagged lagging lags laggy late lonely lose \
         losing lost mad meh mid miss missed mistake nah negative nerf nervous nope odd oof overrated pity poor problem \
         quit risky rough sadly scared scary shaky silly skip sleepy slow sorry spam strange stuck stutter throw \
         throwing throws tired tough unclear unfortunate unfortunately unlucky unsure upset weak weird worried worry",
    ),
    (
        -5_000,
        "angry annoyed annoying bad badly bait baited banned blame boo boring broke broken bs cheat cheater cheaters \
         cheating choke choked clown complain complaining cringe cringy cry crying cursed damn dead died dies disappointing \
         disappointed disappointment dislike dull dumb embarrassing fail failed fails failure false feeding ff fraud \
         frustrated frustrating greedy grief griefing gross hack hacker hacking hopeless horrid hurt hurts ignorant \
         jealous kicked lame lazy liar lie lied lies lying mess messed messy miserable nasty noob noobs pain painful \
         pathetic rage raging rigged robbed rude ruin ruined ruins sad salty scam scammed sellout selfish shame sketchy \
         stress stressed stupid suffer suffering tilt tilted tilting trouble ugly unfair unfunny unplayable \
         unwatchable useless wasted worse wrong yikes",
    ),
    (
        -7_000,
        "abuse abusive awful bigot braindead coward creep creepy crap cruel degenerate despise disaster disgrace \
         disgusted disgusting dreadful evil garbage harass harassment hate hated hateful hater haters hates hating horrible \
         horrendous idiot idiotic idiots insult insulting kys loser losers moron moronic morons pos racist racism rotten \
         scum scumbag sexist shit shitty suck sucked sucks sucking terrible threat toxic trash vile vomit wtf worthless",
    ),
    (-9_000, "abysmal atrocious abomination appalling detest loathe repulsive revolting worst unforgivable"),
];

/// Emotes, emoticons and emoji by weight.
pub(super) const EMOTES: &[(i32, &str)] = &[
    (
        8_000,
        "PogChamp PogU PagMan Kreygasm HYPERS peepoLove widepeepoHappy FeelsAmazingMan TwitchUnity bleedPurple \
         <3 \u{2764} \u{1f970} \u{1f60d} \u{1f618} \u{1f525} \u{1f389} \u{1f929} \u{1f3c6} \u{1f451} \
         \u{1f49c} \u{1f499} \u{1f49a} \u{1f49b} \u{1f496} \u{1f495}",
    ),
    (
        5_000,
        "FeelsGoodMan FeelsStrongMan SeemsGood VoHiYo HeyGuys peepoHappy peepoClap EZClap Clap catJAM pepeJAM pepeD \
         AYAYA BloodTrail CoolCat GlitchCat KEKW LUL LULW OMEGALUL KonCha LuvHearts PartyTime PartyPopper Poooound \
         TakeNRG GivePLZ peepoHey peepoHug :) :-) =) :D :-D =D ^^ ^_^ ;) ;-) :3 :P ;D \
         \u{1f602} \u{1f923} \u{1f600} \u{1f603} \u{1f604} \u{1f601} \u{1f60a} \u{1f642} \u{1f60e} \u{1f44d} \
         \u{1f44f} \u{1f64c} \u{1f64f} \u{1f4aa} \u{1f973} \u{2728} \u{2b50}",
    ),
    (
        -3_000,
        "monkaS monkaW monkaGIGA SwiftRage Pepega Copium PJSalt :| :-| :/ :-/ \u{1f612} \u{1f615} \u{1f644}",
    ),
    (
        -6_000,
        "BibleThump NotLikeThis FailFish DansGame BabyRage FeelsBadMan Sadge PepeHands WutFace WeirdChamp Madge \
         peepoSad :( :-( =( ;( ;-( :'( T_T >:( :c </3 \u{1f622} \u{1f62d} \u{1f61e} \u{1f614} \u{1f621} \u{1f620} \
         \u{1f44e} \u{1f494} \u{1f62b} \u{1f629}",
    ),
    (-8_000, "ResidentSleeper \u{1f92e} \u{1f922} \u{1f92c} \u{1f4a9}"),
];

/// Words that reverse the weights of the words after them. Forms without an ending are the beginnings of
/// forms with a curly apostrophe.
pub(super) const NEGATIONS: &str = "not no never none nobody nothing neither nor without cannot cant can't dont don't don \
     doesnt doesn't doesn didnt didn't didn isnt isn't isn aint ain't wasnt wasn't wasn arent aren't aren werent weren't \
     weren wont won't wouldnt wouldn't wouldn couldnt couldn't couldn shouldnt shouldn't shouldn hasnt hasn't hasn \
     havent haven't hadnt hadn't barely";
