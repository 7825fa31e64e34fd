//! The event that a JSON record should decode to, made the plain way from `serde_json`'s values.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use telemetra::core::parse_timestamp;
use telemetra::core::{Arena, EventTime};
use telemetra::livestream::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, EventKind, Header, MAX_ID_BYTES, MAX_LIST_ITEMS,
    MAX_TEXT_BYTES, MetaType, StreamMeta, Transaction, TransactionType, ViewerCount,
};

/// The events of a record, `None` if it is bad. `Err` if `serde_json` has limits here that the decoder has not.
pub(crate) fn expected<'a>(
    record: &[u8],
    kind: Option<EventKind>,
    arena: &'a Arena,
) -> Result<Option<Vec<Event<'a>>>, ()> {
    let record = &whole_characters(record.strip_prefix("\u{feff}".as_bytes()).unwrap_or(record));
    if record.iter().all(|b| b" \t\r\n".contains(b)) {
        return Ok(Some(vec![]));
    }
    match serde_json::from_slice::<Value>(record) {
        Ok(Value::Object(_)) => {}
        Ok(_) => return Ok(None),
        Err(e) if e.to_string().starts_with("number out of range") => return Err(()),
        Err(e) if e.to_string().starts_with("recursion limit") => return Err(()),
        Err(_) => return Ok(None),
    }
    // Numbers as they were written.
    let raw: BTreeMap<String, &RawValue> = serde_json::from_slice(record).map_err(drop)?;
    let fields = Fields { raw: raw.into_iter().filter(|(_, v)| v.get() != "null").collect(), arena };
    Ok(fields.event(kind).map(|event| vec![event]))
}

/// Stands for half of a surrogate pair, which `serde_json` refuses.
const HALF: char = '\u{e000}';

/// The record with the escape of [`HALF`] for each escape that is half of a surrogate pair.
fn whole_characters(record: &[u8]) -> Vec<u8> {
    let unit = |at: usize| {
        let digits = record.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (mut whole, mut at) = (record.to_vec(), 0);
    while at < record.len() {
        at += match (record[at], unit(at), unit(at + 6)) {
            (b'\\', Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (b'\\', Some(0xD800..=0xDFFF), _) => {
                whole[at..at + 6].copy_from_slice(b"\\ue000");
                6
            }
            (b'\\', ..) => 2,
            _ => 1,
        };
    }
    whole
}

/// A text as the decoder gives it.
fn replaced(text: &str) -> String {
    text.replace(['\0', HALF], "\u{fffd}")
}

struct Fields<'r, 'a> {
    raw: BTreeMap<String, &'r RawValue>,
    arena: &'a Arena,
}

/// An optional field: absent, bad, or read.
type Optional<T> = Option<Option<T>>;

impl<'a> Fields<'_, 'a> {
    fn event(&self, kind: Option<EventKind>) -> Option<Event<'a>> {
        let has = |names: &[&str]| names.iter().all(|name| self.raw.contains_key(*name));
        let is_meta =
            || self.string("event_type").flatten().is_some_and(|t| MetaType::from_wire(t).is_some());
        let kind = match (kind, self.string("topic")) {
            (Some(kind), _) => kind,
            (None, Some(Some(topic))) => EventKind::from_topic(topic)?,
            (None, None) => return None,
            _ if has(&["amount", "currency", "transaction_type"]) => EventKind::Transaction,
            _ if has(&["message", "user_id"]) => EventKind::Chat,
            _ if has(&["event_type"]) && (is_meta() || !has(&["viewer_count"])) => EventKind::Meta,
            _ if has(&["viewer_count"]) => EventKind::Viewer,
            _ => return None,
        };
        let time = parse_timestamp(self.string("timestamp")??.as_bytes()).ok()?;
        let header = Header { event_id: self.id("event_id")?, time, stream_id: self.id("stream_id")? };
        Some(match kind {
            EventKind::Chat => Event::Chat(ChatMessage {
                header,
                user_id: self.id("user_id")?,
                username: self.text("username")??,
                message: self.text("message")??,
                emotes: self.list("emotes")?,
                badges: self.list("badges")?,
                is_subscriber: self.flag("is_subscriber")?,
                is_moderator: self.flag("is_moderator")?,
                sentiment: 0,
            }),
            EventKind::Viewer => Event::Viewer(ViewerCount {
                header,
                viewer_count: self.count("viewer_count")??,
                unique_viewers: self.count("unique_viewers")?,
                peak_viewers: self.count("peak_viewers")?,
            }),
            EventKind::Transaction => Event::Transaction(Transaction {
                header,
                user_id: self.id("user_id")?,
                username: self.text("username")??,
                transaction_type: TransactionType::from_wire(self.string("transaction_type")??)?,
                amount: self.amount("amount")?,
                currency: Currency::from_wire(self.string("currency")??)?,
                message: self.text("message")?,
            }),
            EventKind::Meta => Event::Meta(StreamMeta {
                header,
                event_type: MetaType::from_wire(self.string("event_type")??)?,
                new_title: self.text("new_title")?,
                new_category: self.text("new_category")?,
                started_at: self.time("started_at")?,
                ended_at: self.time("ended_at")?,
                duration_minutes: self.count("duration_minutes")?,
            }),
        })
    }

    /// A field, if there, as `read` reads it.
    fn read<T>(&self, name: &str, read: impl FnOnce(Value, &str) -> Option<T>) -> Optional<T> {
        let Some(raw) = self.raw.get(name) else { return Some(None) };
        // A number that is out of range for a `Value` is read from its text.
        let value = serde_json::from_str(raw.get()).unwrap_or(Value::from(0));
        read(value, raw.get()).map(Some)
    }

    fn string(&self, name: &str) -> Optional<&'a str> {
        self.read(name, |value, _| value.as_str().map(|text| self.arena.text(text)))
    }

    fn text(&self, name: &str) -> Optional<&'a str> {
        let text = self.string(name)?;
        if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
            return None;
        }
        Some(text.map(|text| self.arena.text(&replaced(text))))
    }

    fn id(&self, name: &str) -> Option<&'a str> {
        let good = |id: &&str| (1..=MAX_ID_BYTES).contains(&id.len()) && !id.contains(['\0', HALF]);
        self.string(name)?.filter(good)
    }

    fn time(&self, name: &str) -> Optional<EventTime> {
        match self.string(name)? {
            Some(text) => parse_timestamp(text.as_bytes()).ok().map(Some),
            None => Some(None),
        }
    }

    fn flag(&self, name: &str) -> Option<bool> {
        Some(self.read(name, |value, _| value.as_bool())?.unwrap_or(false))
    }

    fn list(&self, name: &str) -> Option<&'a [&'a str]> {
        let list = self.read(name, |value, _| {
            let items: Option<Vec<&str>> = value
                .as_array()?
                .iter()
                .map(|item| item.as_str().filter(|text| text.len() <= MAX_TEXT_BYTES))
                .collect();
            let items = items.filter(|items| items.len() <= MAX_LIST_ITEMS)?;
            Some(
                self.arena
                    .list(items.into_iter().map(|item| self.arena.text(&replaced(item))).collect::<Vec<_>>()),
            )
        })?;
        Some(list.unwrap_or(&[]))
    }

    fn count(&self, name: &str) -> Optional<u64> {
        self.read(name, |value, raw| {
            let (whole, rest) = decimal(raw, 0).filter(|_| value.is_number())?;
            rest.trim_end_matches('0').is_empty().then_some(u64::try_from(whole).ok())?
        })
    }

    fn amount(&self, name: &str) -> Option<i64> {
        self.read(name, |value, raw| {
            let inner = value.as_str().map(str::to_owned);
            let number = inner.as_deref().unwrap_or(raw);
            let is_number = value.is_number() || serde_json::from_str::<&RawValue>(number).is_ok();
            let first = number.bytes().next().is_some_and(|b| b == b'-' || b.is_ascii_digit());
            let last = number.bytes().last().is_some_and(|b| b.is_ascii_digit());
            if !(is_number && first && last) {
                return None;
            }
            let (whole, rest) = decimal(number, AMOUNT_SCALE.ilog10() as usize)?;
            // Compare with one half as text.
            let (rest, half) = (rest.trim_end_matches('0'), "5");
            let up = rest > half || (rest == half && whole % 2 == 1);
            i64::try_from(whole + u128::from(up)).ok()
        })?
    }
}

/// The whole part of a non-negative decimal number whose point is moved by `shift`, and the digits after it.
fn decimal(number: &str, shift: usize) -> Option<(u128, String)> {
    let lower = number.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    // Beyond this nothing changes: the numbers here are short.
    let exponent = exponent.parse::<i128>().map_or(0, |e| e.clamp(-5_000, 5_000)) as i64;
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = "0".repeat(6_000);
    let digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = (6_000 + whole.len() + shift) as i64 + exponent;
    let (whole, rest) = digits.split_at(point as usize);
    if negative && digits.bytes().any(|b| b != b'0') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole, rest.to_owned()))
}
