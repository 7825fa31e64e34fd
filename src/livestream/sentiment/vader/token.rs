//! Tokens: everything that the rules need about a word, in 32 bits.

/// The greatest number of emotes.
pub(super) const EMOTES: usize = 512;

/// The number of the first word that occurs only in phrases, greater than those of parts and emotes. The next
/// ones follow in steps of [`STEP`].
pub(super) const PHRASES: u16 = 1024;
/// The numbers of words in phrases are multiples of this, so that the low bits contain only parts.
pub(super) const STEP: u16 = 64;
/// A flag in the number of a word that occurs only in phrases: a phrase ends with it.
pub(super) const ENDS: u16 = 1 << 15;

/// The token of a word. From the low end: the valence in tenths as a signed byte, flags, and a [`Part`], an
/// emote's number or the index of an emoji's words.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Token(pub(super) u32);

impl Token {
    /// The word is in the lexicon: it has a valence, and as a neighbour it neither strengthens nor negates.
    pub(super) const LISTED: u32 = 1 << 8;
    /// The word strengthens (*very*) the words after it.
    pub(super) const BOOSTS: u32 = 1 << 9;
    /// The word weakens (*barely*) the words after it.
    pub(super) const DAMPENS: u32 = 1 << 10;
    pub(super) const NEGATES: u32 = 1 << 11;
    /// The word is in capitals. This is a property of the occurrence, which no table contains.
    pub(super) const LOUD: u32 = 1 << 12;
    /// An emote, whose valence no rule changes.
    pub(super) const EMOTE: u32 = 1 << 13;
    /// An emoji, which is scored by its name.
    pub(super) const EMOJI: u32 = 1 << 14;
    /// The word needs an action besides being remembered.
    pub(super) const ACTS: u32 = 1 << 15;
    /// The flags that may change the valence of a listed neighbour.
    pub(super) const TOUCHES: u32 = Self::BOOSTS | Self::DAMPENS | Self::NEGATES | (STEP as u32 - 1) << 16;

    /// The token before the first word. It counts as listed, so that no rule considers it.
    pub(super) const BEFORE: Self = Self(Self::LISTED);

    #[inline]
    pub(super) fn is(self, flags: u32) -> bool {
        self.0 & flags != 0
    }

    #[inline]
    pub(super) fn with(self, flags: u32) -> Self {
        Self(self.0 | flags)
    }

    /// The token without its effect on neighbours: its valence, if it has one.
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

    /// The same word without a valence; its effect on other words stays.
    pub(super) fn without_valence(self) -> Self {
        Self(self.0 & !(0xff | Self::LISTED | Self::ACTS))
    }

    /// The number of an emote, greater than those of all parts, or the index of an emoji's first word.
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
