//! Preparation of pieces between white space: entities, addresses, brackets.

/// The length of the longest piece in which entities are resolved; longer ones are not words in any case.
const LONGEST: usize = 128;

const ENTITIES: [(&[u8], u8); 8] = [
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&quot;", b'"'),
    (b"&#39;", b'\''),
    (b"&#039;", b'\''),
    (b"&#x27;", b'\''),
    (b"&apos;", b'\''),
];

/// A piece with its HTML entities resolved.
pub(super) struct Resolved {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Resolved {
    /// Resolves the entities of a piece once: `&amp;lt;` becomes `&lt;`. `None` if it has none, or is too
    /// long.
    pub(super) fn of(piece: &str) -> Option<Self> {
        let mut rest = piece.as_bytes();
        if rest.len() > LONGEST || !rest.contains(&b'&') || !rest.contains(&b';') {
            return None;
        }
        let mut resolved = Self { bytes: [0; LONGEST], len: 0 };
        let mut any = false;
        while let Some(&first) = rest.first() {
            let entity =
                if first == b'&' { ENTITIES.iter().find(|(name, _)| rest.starts_with(name)) } else { None };
            let (length, byte) = entity.map_or((1, first), |(name, byte)| (name.len(), *byte));
            any |= entity.is_some();
            resolved.bytes[resolved.len] = byte;
            resolved.len += 1;
            rest = &rest[length..];
        }
        any.then_some(resolved)
    }

    pub(super) fn text(&self) -> &str {
        // Only whole ASCII characters were replaced by ASCII characters.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// Whether a piece is a reference that counts nothing: `@name`, `!command` at the start of a message, or an
/// address.
pub(super) fn is_address(piece: &[u8], begins_message: bool) -> bool {
    match piece {
        [b'@', next, ..] => next.is_ascii_alphanumeric() || *next == b'_' || !next.is_ascii(),
        [b'!', next, rest @ ..] if begins_message => next.is_ascii_alphabetic() && !rest.contains(&b'!'),
        [b'h' | b'H', b't' | b'T', b't' | b'T', b'p' | b'P', rest @ ..] => {
            rest.starts_with(b"://") || rest.starts_with(b"s://") || rest.starts_with(b"S://")
        }
        [b'w', b'w', b'w', b'.', next, ..] => next.is_ascii_alphanumeric(),
        _ => false,
    }
}

/// Two or more brackets of one kind at the end of a piece that are no emoticon: true if they smile.
pub(super) fn brackets(piece: &[u8]) -> Option<bool> {
    let &last = piece.last()?;
    let other = match last {
        b')' => b'(',
        b'(' => b')',
        _ => return None,
    };
    let count = piece.iter().rev().take_while(|&&byte| byte == last).count();
    let word = &piece[..piece.len() - count];
    let ends_word = word
        .last()
        .is_none_or(|&byte| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"!?.,".contains(&byte));
    (count >= 2 && ends_word && !word.contains(&other)).then_some(last == b')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_resolved_once() {
        let resolved = |piece: &str| Resolved::of(piece).map(|resolved| resolved.text().to_owned());
        for (piece, expected) in [
            ("&lt;3", Some("<3")),
            ("-&gt;", Some("->")),
            ("&quot;nice&quot;", Some("\"nice\"")),
            ("don&#39;t", Some("don't")),
            ("&amp;lt;3", Some("&lt;3")),
            ("é&amp;", Some("é&")),
            ("&nosuch;", None),
            ("a&b", None),
            ("", None),
        ] {
            assert_eq!(resolved(piece).as_deref(), expected, "{piece}");
        }
        assert_eq!(resolved(&"&amp;".repeat(100)), None, "too long");
    }

    #[test]
    fn names_commands_and_addresses_are_known() {
        for piece in ["@love", "@好", "https://a.example/lol", "http://x", "www.fun.example"] {
            assert!(is_address(piece.as_bytes(), false), "{piece}");
        }
        assert!(is_address(b"!love", true));
        for (piece, begins) in
            [("!love", false), ("!love!!", true), ("!!!", true), ("@", true), ("www", true), ("httpx", true)]
        {
            assert!(!is_address(piece.as_bytes(), begins), "{piece}");
        }
    }

    #[test]
    fn brackets_alone_smile_or_frown() {
        for (piece, expected) in [
            ("привет))", Some(true)),
            ("лаги(((", Some(false)),
            (")))", Some(true)),
            ("nice!))", Some(true)),
            (":))", None),
            ("(so))", None),
            ("f(g(", None),
            ("ok)", None),
            ("", None),
        ] {
            assert_eq!(brackets(piece.as_bytes()), expected, "{piece}");
        }
    }
}
