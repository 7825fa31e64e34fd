//! What is known of a word, in 32 bits: all that the rules ask for.

/// How many emotes there may be.
pub(super) const EMOTES: usize = 512;

/// The number of the first word that only phrases name, beyond those of parts and emotes. They go up by [`STEP`].
pub(super) const PHRASES: u16 = 1024;
/// The numbers of words of phrases are multiples of this, so that in the low bits there are parts alone.
pub(super) const STEP: u16 = 64;
/// In the number of a word that only phrases name: one of them ends with it.
pub(super) const ENDS: u16 = 1 << 15;

/// From the low end: the valence in tenths as a signed byte, flags, and a [`Part`], an emote's number or an emoji's place.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Token(pub(super) u32);

impl Token {
    /// In the lexicon: it has a valence, and as a neighbour it neither strengthens nor negates.
    pub(super) const LISTED: u32 = 1 << 8;
    /// Strengthens (*very*) what follows.
    pub(super) const BOOSTS: u32 = 1 << 9;
    /// Weakens (*barely*) what follows.
    pub(super) const DAMPENS: u32 = 1 << 10;
    pub(super) const NEGATES: u32 = 1 << 11;
    /// Written in capitals. A property of the occurrence; no table holds it.
    pub(super) const LOUD: u32 = 1 << 12;
    /// An emote: a valence that no rule touches.
    pub(super) const EMOTE: u32 = 1 << 13;
    /// An emoji, which stands for words.
    pub(super) const EMOJI: u32 = 1 << 14;
    /// Something has to be done about it besides remembering it.
    pub(super) const ACTS: u32 = 1 << 15;
    /// What may change the valence of a listed neighbour.
    pub(super) const TOUCHES: u32 = Self::BOOSTS | Self::DAMPENS | Self::NEGATES | (STEP as u32 - 1) << 16;

    /// Stands before the first word. Counts as listed, so that no rule looks at it.
    pub(super) const BEFORE: Self = Self(Self::LISTED);

    #[inline]
    pub(super) fn is(self, flags: u32) -> bool {
        self.0 & flags != 0
    }

    #[inline]
    pub(super) fn with(self, flags: u32) -> Self {
        Self(self.0 | flags)
    }

    /// What it is apart from its neighbours: its valence, if it has one.
    pub(super) fn alone(self) -> Option<Self> {
        let kept = 0xff | Self::LISTED | Self::ACTS;
        match self.0 & (Self::EMOTE | Self::LISTED) {
            0 => None,
            Self::LISTED => Some(Self(self.0 & kept)),
            _ => Some(self),
        }
    }

    #[inline]
    pub(super) fn tenths(self) -> i8 {
        self.0 as i8
    }

    pub(super) fn with_tenths(self, tenths: i8) -> Self {
        Self(self.0 & !0xff | u32::from(tenths.cast_unsigned()))
    }

    /// The same word with no mood: what it does to others stays.
    pub(super) fn without_valence(self) -> Self {
        Self(self.0 & !(0xff | Self::LISTED | Self::ACTS))
    }

    /// The number of an emote, beyond those of all parts, or where an emoji's words begin.
    #[inline]
    pub(super) fn number(self) -> usize {
        (self.0 >> 16) as usize
    }

    pub(super) fn with_number(self, number: u16) -> Self {
        Self(self.0 & 0xffff | u32::from(number) << 16)
    }

    #[inline]
    pub(super) fn is_part(self, part: Part) -> bool {
        self.0 >> 16 == part as u32
    }
}

/// The words that rules and idioms name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Ass = 1,
    At,
    Bad,
    Beating,
    Bomb,
    Bus,
    But,
    Death,
    Die,
    Doubt,
    Enough,
    For,
    Heart,
    Just,
    Kind,
    Kiss,
    Least,
    Never,
    No,
    Nor,
    Of,
    Or,
    Right,
    Shit,
    So,
    Sort,
    Stop,
    The,
    This,
    To,
    Very,
    Without,
    Yeah,
}

impl Part {
    pub(super) const ALL: [(&'static str, Self); 33] = [
        ("ass", Self::Ass),
        ("at", Self::At),
        ("bad", Self::Bad),
        ("beating", Self::Beating),
        ("bomb", Self::Bomb),
        ("bus", Self::Bus),
        ("but", Self::But),
        ("death", Self::Death),
        ("die", Self::Die),
        ("doubt", Self::Doubt),
        ("enough", Self::Enough),
        ("for", Self::For),
        ("heart", Self::Heart),
        ("just", Self::Just),
        ("kind", Self::Kind),
        ("kiss", Self::Kiss),
        ("least", Self::Least),
        ("never", Self::Never),
        ("no", Self::No),
        ("nor", Self::Nor),
        ("of", Self::Of),
        ("or", Self::Or),
        ("right", Self::Right),
        ("shit", Self::Shit),
        ("so", Self::So),
        ("sort", Self::Sort),
        ("stop", Self::Stop),
        ("the", Self::The),
        ("this", Self::This),
        ("to", Self::To),
        ("very", Self::Very),
        ("without", Self::Without),
        ("yeah", Self::Yeah),
    ];
}
