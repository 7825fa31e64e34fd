//! The fields of one record: they are located first, and parsed when they are needed.
//!
//! Only after the whole record has been read is it known which kind it is, and which of two equal keys is the
//! last. So the first pass records positions, and the code that makes the event parses the fields it needs.

use super::decimal::{Rest, shifted};
use super::field::Field;
use super::reader::{Fault, Kind, Reader, Token};
use super::unescape::unescape;
use crate::core::{Arena, DecodeError, EventTime, parse_timestamp};
use crate::livestream::AMOUNT_SCALE;
use crate::livestream::decode::valid;

const AMOUNT_DECIMALS: i64 = AMOUNT_SCALE.ilog10() as i64;
const _: () = assert!(10_i64.pow(AMOUNT_SCALE.ilog10()) == AMOUNT_SCALE);

/// The mark that some programs write before UTF-8 text; RFC 8259 lets readers ignore it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The positions of the known fields in a record.
pub(super) struct Fields<'a> {
    text: &'a str,
    arena: &'a Arena,
    tokens: [Token; Field::COUNT],
}

impl<'a> Fields<'a> {
    /// Checks that a record is UTF-8 text.
    #[inline]
    pub(super) fn new(record: &'a [u8], arena: &'a Arena) -> Result<Self, DecodeError> {
        let record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
        let Ok(text) = simdutf8::basic::from_utf8(record) else { return Err(not_utf8(record)) };
        if u32::try_from(record.len()).is_err() {
            return Err(DecodeError::new("the record is longer than 4 GiB"));
        }
        Ok(Self { text, arena, tokens: [Token::default(); Field::COUNT] })
    }

    /// Checks the syntax and locates the fields. Returns whether there is anything but white space.
    pub(super) fn find(&mut self) -> Result<bool, DecodeError> {
        let mut reader = Reader::new(self.text.as_bytes());
        self.find_by(&mut reader).map_err(|fault| reader.error(fault))
    }

    fn find_by(&mut self, reader: &mut Reader<'_>) -> Result<bool, Fault> {
        let first = reader.skip_space();
        if reader.is_at_end() {
            return Ok(false);
        }
        if first != b'{' {
            return Err(&"expected a JSON object");
        }
        reader.object(1, &mut |name, value| {
            if let Some(field) = Field::of(self.string(name)) {
                self.tokens[field as usize] = value;
            }
        })?;
        reader.skip_space();
        if !reader.is_at_end() {
            return Err(&"expected one JSON object; found more after it");
        }
        Ok(true)
    }

    /// Whether the field is present and not `null`.
    pub(super) fn has(&self, field: Field) -> bool {
        !matches!(self.tokens[field as usize].kind, Kind::Absent | Kind::Null)
    }

    /// An optional string of any length.
    pub(super) fn word(&self, field: Field) -> Result<Option<&'a str>, DecodeError> {
        self.read(field, |token| self.text_of(token, "is not a string"))
    }

    /// An optional text.
    pub(super) fn text(&self, field: Field) -> Result<Option<&'a str>, DecodeError> {
        self.read(field, |token| {
            self.text_of(token, "is not a string").and_then(|text| self.whole(token, text))
        })
    }

    /// A required id.
    pub(super) fn id(&self, field: Field) -> Result<&'a str, DecodeError> {
        let id = self.read(field, |token| {
            let id = self.text_of(token, "is not a string")?;
            // Two ids that differ must not become equal.
            if token.kind == Kind::Escaped {
                valid::without_nul(id).and_then(valid::id)
            } else {
                valid::id(id)
            }
        })?;
        self.required(field, id)
    }

    /// An optional time.
    pub(super) fn time(&self, field: Field) -> Result<Option<EventTime>, DecodeError> {
        self.read(field, |token| {
            let text = self.text_of(token, "is not a string")?;
            parse_timestamp(text.as_bytes()).map_err(|error| error.0)
        })
    }

    /// An optional count.
    pub(super) fn count(&self, field: Field) -> Result<Option<u64>, DecodeError> {
        self.read(field, |token| match token.kind {
            Kind::Number => shifted(self.raw(token), 0, Rest::Refuse),
            _ => Err("is not a number"),
        })
    }

    /// An optional amount, in fixed point.
    pub(super) fn amount(&self, field: Field) -> Result<Option<i64>, DecodeError> {
        self.read(field, |token| {
            let number = match token.kind {
                Kind::Number => self.raw(token),
                _ => self.text_of(token, "is not a number")?,
            };
            if token.kind != Kind::Number && !Reader::is_number(number) {
                return Err("is not a number");
            }
            i64::try_from(shifted(number, AMOUNT_DECIMALS, Rest::HalfEven)?).map_err(|_| "is too large")
        })
    }

    /// An optional flag; absent is false.
    pub(super) fn flag(&self, field: Field) -> Result<bool, DecodeError> {
        let flag = self.read(field, |token| match token.kind {
            Kind::True => Ok(true),
            Kind::False => Ok(false),
            _ => Err("is not true or false"),
        })?;
        Ok(flag.unwrap_or_default())
    }

    /// An optional list of texts; absent is empty.
    pub(super) fn list(&self, field: Field) -> Result<&'a [&'a str], DecodeError> {
        let list = self.read(field, |token| {
            if token.kind != Kind::Array {
                return Err("is not a list");
            }
            if token.items == 0 {
                return Ok(&[][..]);
            }
            valid::list_len(token.items as usize)?;
            self.items(token)
        })?;
        Ok(list.unwrap_or_default())
    }

    /// The value, or an error if there is none.
    #[inline]
    pub(super) fn required<T>(&self, field: Field, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| missing(field))
    }

    /// Parses a field if it is present; an error gets the field's name and position.
    #[inline(always)]
    fn read<T>(
        &self,
        field: Field,
        read: impl FnOnce(Token) -> Result<T, &'static str>,
    ) -> Result<Option<T>, DecodeError> {
        if !self.has(field) {
            return Ok(None);
        }
        let token = self.tokens[field as usize];
        match read(token) {
            Ok(value) => Ok(Some(value)),
            Err(reason) => Err(DecodeError::field(field.name(), reason).at(token.start as usize)),
        }
    }

    fn items(&self, list: Token) -> Result<&'a [&'a str], &'static str> {
        let mut fault = None;
        let mut reader = Reader::at(self.text.as_bytes(), list.start as usize + 1);
        let items = self.arena.list((0..list.items).map(|_| {
            let token = reader.next_item();
            let item = self.text_of(token, "has an item that is not a string");
            item.and_then(|text| self.whole(token, text)).unwrap_or_else(|reason| {
                fault.get_or_insert(reason);
                ""
            })
        }));
        fault.map_or(Ok(items), Err)
    }

    /// The text of a token, as it is in the record.
    #[inline(always)]
    fn raw(&self, token: Token) -> &'a str {
        &self.text[token.start as usize..token.end as usize]
    }

    /// The characters of a string token.
    #[inline]
    fn string(&self, token: Token) -> &'a str {
        let raw = &self.text[token.start as usize + 1..token.end as usize - 1];
        if token.kind == Kind::Escaped { unescape(raw, self.arena) } else { raw }
    }

    /// The string of a token, if it is a string. A NUL in it stands for a NUL or for half a surrogate pair of
    /// the record.
    #[inline(always)]
    fn text_of(&self, token: Token, otherwise: &'static str) -> Result<&'a str, &'static str> {
        match token.kind {
            Kind::Plain | Kind::Escaped => Ok(self.string(token)),
            _ => Err(otherwise),
        }
    }

    /// A text that every store can hold. Only an escape can put a NUL into it.
    #[inline(always)]
    fn whole(&self, token: Token, text: &'a str) -> Result<&'a str, &'static str> {
        let text = valid::text(text)?;
        Ok(if token.kind == Kind::Escaped { valid::replaced(text, self.arena) } else { text })
    }
}

#[cold]
fn missing(field: Field) -> DecodeError {
    DecodeError::field(field.name(), valid::MISSING)
}

#[cold]
fn not_utf8(record: &[u8]) -> DecodeError {
    let at = std::str::from_utf8(record).map_or_else(|e| e.valid_up_to(), str::len);
    DecodeError::new("the record is not valid UTF-8").at(at)
}
