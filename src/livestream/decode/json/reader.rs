//! A reader of JSON syntax, without the meaning of fields.
//!
//! It reads the record once and returns the positions of values, not copies; values are read again only where
//! they are used. Unused values are checked as strictly as used ones.

use super::scan;
use super::unescape::hex4;
use crate::core::DecodeError;

/// The fault at the reader's position. A thin pointer, so that results fit in registers.
pub(super) type Fault = &'static &'static str;

/// The greatest depth of nested arrays and objects, including the record's own object.
const MAX_DEPTH: u32 = 128;

/// The kind and position of a value in the record, including the quotes of a string.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The number of items, for an array.
    pub(super) items: u32,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// No value.
    #[default]
    Absent,
    Null,
    True,
    False,
    Number,
    /// A string without escapes, whose text is in the record.
    Plain,
    /// A string with escapes, all of them valid.
    Escaped,
    Array,
    Object,
}

/// A position in the bytes of a record. The caller has checked that they are UTF-8 and fewer than 4 GiB.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The items of the array read last.
    items: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    pub(super) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, items: 0 }
    }

    /// The byte at the position; 0, which is never valid, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Skips white space and returns the byte after it.
    #[inline]
    pub(super) fn skip_space(&mut self) -> u8 {
        loop {
            let byte = self.peek();
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    /// Whether everything was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The error for a fault at the position.
    #[cold]
    pub(super) fn error(&self, fault: Fault) -> DecodeError {
        DecodeError::new(if self.is_at_end() { "the JSON ends too early" } else { fault }).at(self.at)
    }

    /// Whether `text` is a number and nothing else.
    pub(super) fn is_number(text: &str) -> bool {
        let mut reader = Reader::new(text.as_bytes());
        reader.number().is_ok() && reader.is_at_end()
    }

    /// The next item of an array that was read before, starting after its bracket or after an item.
    pub(super) fn next_item(&mut self) -> Token {
        if self.skip_space() == b',' {
            self.at += 1;
            self.skip_space();
        }
        self.token(1).unwrap_or_default()
    }

    /// Reads the object that starts here and passes each member to `member`, the name first.
    #[inline]
    pub(super) fn object(&mut self, depth: u32, member: &mut impl FnMut(Token, Token)) -> Result<(), Fault> {
        self.open(depth)?;
        if self.skip_space() != b'}' {
            loop {
                if self.skip_space() != b'"' {
                    return Err(&"expected a quoted field name");
                }
                let name = self.token(depth)?;
                if self.skip_space() != b':' {
                    return Err(&"expected `:` after a field name");
                }
                self.at += 1;
                self.skip_space();
                let value = self.token(depth)?;
                member(name, value);
                match self.skip_space() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(&"expected `,` or `}` after a field"),
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the array that starts here.
    fn array(&mut self, depth: u32) -> Result<(), Fault> {
        self.open(depth)?;
        let mut items = 0;
        if self.skip_space() != b']' {
            loop {
                self.skip_space();
                self.value(depth)?;
                items += 1;
                match self.skip_space() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(&"expected `,` or `]` after an item"),
                }
            }
        }
        self.at += 1;
        self.items = items;
        Ok(())
    }

    fn open(&mut self, depth: u32) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(&"nests deeper than 128 levels");
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the value that starts here and returns its kind and position.
    #[inline(always)]
    fn token(&mut self, depth: u32) -> Result<Token, Fault> {
        let start = self.at as u32;
        let kind = self.value(depth)?;
        Ok(Token { kind, start, end: self.at as u32, items: self.items })
    }

    /// Reads the value that starts here, at nesting depth `depth`.
    #[inline(always)]
    fn value(&mut self, depth: u32) -> Result<Kind, Fault> {
        match self.peek() {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true", Kind::True),
            b'f' => self.literal(b"false", Kind::False),
            b'n' => self.literal(b"null", Kind::Null),
            b'[' | b'{' => self.nested(depth + 1),
            _ => Err(&"expected a JSON value"),
        }
    }

    fn nested(&mut self, depth: u32) -> Result<Kind, Fault> {
        if self.peek() == b'{' {
            self.object(depth, &mut |_, _| {})?;
            return Ok(Kind::Object);
        }
        self.array(depth)?;
        Ok(Kind::Array)
    }

    fn literal(&mut self, word: &'static [u8], kind: Kind) -> Result<Kind, Fault> {
        let rest = &self.bytes[self.at..];
        if !rest.starts_with(word) {
            if word.starts_with(rest) {
                self.at = self.bytes.len();
            }
            return Err(&"expected a JSON value");
        }
        self.at += word.len();
        Ok(kind)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Kind, Fault> {
        self.at = scan::special(self.bytes, self.at + 1);
        if self.peek() != b'"' {
            return self.escaped();
        }
        self.at += 1;
        Ok(Kind::Plain)
    }

    /// Reads the rest of a string whose part without escapes ends here.
    #[cold]
    fn escaped(&mut self) -> Result<Kind, Fault> {
        while self.peek() != b'"' {
            self.escape()?;
            self.at = scan::special(self.bytes, self.at);
        }
        self.at += 1;
        Ok(Kind::Escaped)
    }

    /// Skips the escape here. Half a surrogate pair is skipped too: only that character is lost, not the
    /// event.
    fn escape(&mut self) -> Result<(), Fault> {
        if self.peek() != b'\\' {
            return Err(&"a control character must be escaped in a string");
        }
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                self.hex4(self.at)?;
                self.at += 6;
            }
            _ => return Err(&"an unknown escape in a string"),
        }
        Ok(())
    }

    /// The four hexadecimal digits of the escape at `at`.
    fn hex4(&self, at: usize) -> Result<u16, Fault> {
        hex4(self.bytes, at + 2).ok_or(&"`\\u` needs four hexadecimal digits")
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    /// Reads one digit or more.
    #[inline]
    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_ascii_digit() {
            return Err(&"a number lacks a digit");
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }
}
