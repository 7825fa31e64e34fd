//! Finds the elements of a JSON array.

use super::framed::Step;

/// The place of the next byte in the array. Only what is needed to find the ends of elements is looked at; whether an
/// element is JSON is the decoder's to say.
#[derive(Debug)]
pub(super) enum Elements {
    /// The place before the array, after this number of bytes of a byte order mark.
    Before(usize),
    /// A place between two elements.
    Between,
    /// A place in an object, array or string, at this depth of brackets.
    Value { depth: u64, string: bool, escaped: bool },
    /// A place in a number, or in a word.
    Word,
    /// The place after the array.
    After,
}

impl Elements {
    pub(super) fn new(inside: bool) -> Self {
        if inside { Self::Between } else { Self::Before(0) }
    }

    /// Returns whether the content may end here.
    pub(super) fn may_end(&self) -> bool {
        // An empty file has no elements.
        matches!(self, Self::Before(_) | Self::After)
    }

    /// Returns the meaning of a byte. The error says what is wrong with the array.
    pub(super) fn step(&mut self, byte: u8) -> Result<Step, &'static str> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let (next, step) = match self {
            Self::Before(passed) if MARK.get(*passed) == Some(&byte) => {
                (Self::Before(*passed + 1), Step::Between)
            }
            Self::Before(_) | Self::After if is_space => return Ok(Step::Between),
            Self::Before(_) if byte == b'[' => (Self::Between, Step::Between),
            Self::Before(_) => return Err("it is not one JSON array: it does not begin with `[`"),
            Self::After => return Err("it is not one JSON array: something stands behind its end"),
            Self::Between => match byte {
                b',' => return Ok(Step::Between),
                b']' => (Self::After, Step::Between),
                b'{' | b'[' => (Self::Value { depth: 1, string: false, escaped: false }, Step::Within),
                b'"' => (Self::Value { depth: 0, string: true, escaped: false }, Step::Within),
                _ if is_space => return Ok(Step::Between),
                _ => (Self::Word, Step::Within),
            },
            Self::Word if byte == b']' => (Self::After, Step::Behind),
            Self::Word if byte == b',' || is_space => (Self::Between, Step::Behind),
            Self::Word => return Ok(Step::Within),
            Self::Value { depth, string, escaped } => {
                match byte {
                    _ if *escaped => *escaped = false,
                    b'\\' if *string => *escaped = true,
                    b'"' => *string = !*string,
                    b'{' | b'[' if !*string => *depth += 1,
                    b'}' | b']' if !*string => *depth -= 1,
                    _ => {}
                }
                if *depth > 0 || *string {
                    return Ok(Step::Within);
                }
                (Self::Between, Step::Last)
            }
        };
        *self = next;
        Ok(step)
    }
}
