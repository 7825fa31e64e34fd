//! The bump allocator of decoders.

use std::fmt;

/// A bump allocator for strings and lists that a decoder builds, which live as long as the events of one
/// batch.
///
/// Most strings of an event are borrowed from its record. Strings with escapes, and lists, are allocated
/// here: an allocation moves a pointer, and all of them are freed at once after the batch.
///
/// ```
/// let mut arena = telemetra_core::Arena::default();
/// let list = arena.list(["a", arena.text("b")]);
/// assert_eq!(list, ["a", "b"]);
/// arena.reset();
/// ```
#[derive(Default)]
pub struct Arena(bumpalo::Bump);

impl Arena {
    /// Copies a text into the arena.
    pub fn text(&self, text: &str) -> &str {
        self.0.alloc_str(text)
    }

    /// Collects texts into a list in the arena.
    pub fn list<'a, I>(&'a self, items: I) -> &'a [&'a str]
    where
        I: IntoIterator<Item = &'a str>,
        I::IntoIter: ExactSizeIterator,
    {
        self.0.alloc_slice_fill_iter(items)
    }

    /// Allocates `len` bytes, all zero, in which a decoder can build an unescaped text.
    ///
    /// ```
    /// let arena = telemetra_core::Arena::default();
    /// let built = arena.zeroed(2);
    /// built.copy_from_slice(b"hi");
    /// let text: &str = std::str::from_utf8(built)?;
    /// assert_eq!(text, "hi");
    /// # Ok::<(), std::str::Utf8Error>(())
    /// ```
    pub fn zeroed(&self, len: usize) -> &mut [u8] {
        self.0.alloc_slice_fill_copy(len, 0)
    }

    /// Frees all allocations, and keeps the largest chunk of memory for the next batch.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena({} bytes)", self.0.allocated_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_and_a_reset_makes_room() {
        let mut arena = Arena::default();
        for round in 0..1_000 {
            let text = format!("{round:0>1000}");
            assert_eq!(arena.text(&text), text);
            assert_eq!(arena.list(["a", &text]), ["a", &text]);
            assert_eq!(arena.zeroed(3), [0; 3]);
            arena.reset();
        }
        assert!(arena.0.allocated_bytes() < 10_000, "{}", arena.0.allocated_bytes());
    }
}
