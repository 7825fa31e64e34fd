use std::fmt;

/// Keeps what a decoder had to build, for as long as the events of one batch live.
///
/// Most strings are borrowed from the record itself. Those with escapes, and lists, are put here: one
/// bump of a pointer each, and all given back at once when the batch is done.
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
    /// Copies `text`.
    pub fn text(&self, text: &str) -> &str {
        self.0.alloc_str(text)
    }

    /// Makes a list.
    pub fn list<'a, I>(&'a self, items: I) -> &'a [&'a str]
    where
        I: IntoIterator<Item = &'a str>,
        I::IntoIter: ExactSizeIterator,
    {
        self.0.alloc_slice_fill_iter(items)
    }

    /// So many bytes, all zero, to build a text in: for decoders that unescape.
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

    /// Forgets everything and keeps the largest piece of memory for the next batch.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena({} bytes)", self.0.allocated_bytes())
    }
}
