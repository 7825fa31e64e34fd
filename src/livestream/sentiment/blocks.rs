//! Sixteen bytes of a message at once, as most words are short and of ASCII letters alone.

/// The number of bytes that are looked at together.
pub(super) const BLOCK: usize = 16;

/// The bytes of a message in blocks, of which the last ones end in spaces.
pub(super) struct Blocks<'a> {
    text: &'a [u8],
    /// The last bytes of the text, with spaces after them.
    last: [u8; 2 * BLOCK],
    last_from: usize,
}

impl<'a> Blocks<'a> {
    #[inline]
    pub(super) fn of(text: &'a [u8]) -> Self {
        let mut last = [b' '; 2 * BLOCK];
        match text.last_chunk::<BLOCK>() {
            Some(chunk) => last[..BLOCK].copy_from_slice(chunk),
            None => last[..text.len()].copy_from_slice(text),
        }
        Self { text, last, last_from: text.len().saturating_sub(BLOCK) }
    }

    /// The sixteen bytes from `at` on, which is before the end.
    #[inline]
    pub(super) fn at(&self, at: usize) -> u128 {
        #[cfg(test)]
        if BY_DEFINITION.get() {
            return 0;
        }
        let block = self.text[at..].first_chunk::<BLOCK>();
        let block = block.or_else(|| self.last.get(at - self.last_from..)?.first_chunk::<BLOCK>());
        block.map_or(0, |block| u128::from_le_bytes(*block))
    }
}

#[cfg(test)]
thread_local! {
    static BY_DEFINITION: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs something with all messages scanned byte by byte.
#[cfg(test)]
pub(super) fn by_definition<T>(run: impl FnOnce() -> T) -> T {
    BY_DEFINITION.set(true);
    let result = run();
    BY_DEFINITION.set(false);
    result
}
