//! The characters beyond ASCII that form words, end words, or are words by themselves.
//!
//! Unicode's own tables of these are large, and a coarser rule is enough here: a character is a letter unless
//! it is known not to be one, so that the marks which many scripts put on letters stay in the word.

/// Whether a character is a symbol, an emoji or punctuation: never part of a word, and looked up by itself.
pub(super) fn is_symbol(character: char) -> bool {
    matches!(character,
        // Latin-1, without the ordinals and the micro sign.
        '\u{80}'..='©' | '«'..='´' | '¶'..='¹' | '»'..='¿' | '×' | '÷'
        // Punctuation of Greek, Armenian, Hebrew, Arabic, the scripts of India and Ethiopic.
        | '\u{37e}' | '\u{387}' | '\u{589}' | '\u{5be}' | '\u{5c3}' | '\u{60c}' | '\u{61b}' | '\u{61f}' | '\u{6d4}'
        | '\u{964}' | '\u{965}' | '\u{1361}'..='\u{1368}' | '\u{104a}' | '\u{104b}' | '\u{17d4}'..='\u{17da}'
        // General punctuation, arrows, mathematics, dingbats; the joiners belong to words.
        | '\u{2000}'..='\u{200b}' | '\u{200e}'..='\u{2bff}' | '\u{2e00}'..='\u{2e7f}'
        // Punctuation of Chinese and Japanese, wide forms.
        | '\u{3000}'..='\u{3004}' | '\u{3007}'..='\u{3020}' | '\u{3030}' | '\u{30fb}' | '\u{3297}' | '\u{3299}'
        | '\u{fe10}'..='\u{fe1f}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}'
        | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}' | '\u{ffe0}'..='\u{ffff}'
        // Emoji, and the tags that follow some.
        | '\u{1f000}'..='\u{1faff}' | '\u{e0000}'..)
}

/// Whether a character ends the reach of a negation before it.
pub(super) fn ends_clause(character: char) -> bool {
    matches!(
        character,
        '…' | '。'
            | '、'
            | '！'
            | '，'
            | '．'
            | '：'
            | '；'
            | '？'
            | '｡'
            | '､'
            | '،'
            | '؛'
            | '؟'
            | '۔'
            | '।'
            | '॥'
            | '։'
            | '\u{1362}'..='\u{1367}' | '\u{104a}' | '\u{104b}' | '\u{17d4}' | '\u{17d5}' | '¿' | '¡'
    )
}

/// Whether a character is of a script without spaces between words: Thai, Lao, Burmese, Khmer, Chinese,
/// Japanese.
pub(super) fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}' | '\u{3006}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether a character belongs to the one before it and is not a word by itself.
pub(super) fn is_joined(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}
