//! The content of events: from an arrival to the bytes of its record.

use std::sync::Arc;

use super::arrivals::{Arrival, Body, Flaw};
use super::damage::damage;
use super::plan::Plan;
use super::random::{Random, mix};
use super::words;
use crate::core::EventTime;
use crate::livestream::decode::{encode_json, integer};
use crate::livestream::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, Header, MetaType, StreamMeta, Transaction, TransactionType,
    ViewerCount,
};

/// The distance of events from the future: 50 years, more than a clock with a wrong setting would be off.
const FUTURE: u64 = 50 * 365 * 86_400_000;
/// Separates the random numbers used here from those used for earlier decisions.
const SALT: u64 = 0x636F_6E74_656E_7400;

/// Writes records, and reuses its buffers.
pub(super) struct Writer {
    plan: Arc<Plan>,
    event_id: Vec<u8>,
    user_id: Vec<u8>,
    username: String,
    message: String,
}

impl Writer {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            event_id: Vec::new(),
            user_id: Vec::new(),
            username: String::new(),
            message: String::new(),
        }
    }

    /// Appends the record of an arrival.
    pub(super) fn write(&mut self, arrival: &Arrival, out: &mut Vec<u8>) {
        let start = out.len();
        let mut random = Random::new(arrival.id ^ SALT);
        self.name(arrival);
        match arrival.body {
            Body::Chat { sour } => self.chat(arrival, sour, &mut random, out),
            Body::Transaction { surge } => self.transaction(arrival, surge, &mut random, out),
            Body::Viewer(audience) => {
                let event = Event::Viewer(ViewerCount {
                    header: self.header(arrival),
                    viewer_count: audience.now.into(),
                    unique_viewers: Some(audience.unique.into()),
                    peak_viewers: Some(audience.peak.into()),
                });
                encode_json(&event, out);
            }
            Body::Start | Body::Change | Body::End { .. } => self.meta(arrival, &mut random, out),
        }
        if arrival.flaw == Flaw::Malformed {
            damage(out, start, &mut random);
        }
    }

    /// Sets the event's id.
    fn name(&mut self, arrival: &Arrival) {
        let kind: &[u8] = match arrival.body {
            Body::Chat { .. } => b"chat-",
            Body::Viewer(_) => b"view-",
            Body::Transaction { .. } => b"paid-",
            Body::Start | Body::Change | Body::End { .. } => b"meta-",
        };
        self.event_id.clear();
        self.event_id.extend_from_slice(kind);
        let hex = |place: u32| b"0123456789abcdef"[(arrival.id >> (4 * place) & 15) as usize];
        self.event_id.extend((0..16).rev().map(hex));
    }

    fn header(&self, arrival: &Arrival) -> Header<'_> {
        let ahead = if arrival.flaw == Flaw::Future { FUTURE } else { 0 };
        Header {
            event_id: ascii(&self.event_id),
            time: self.time(arrival).plus(ahead),
            stream_id: &self.plan.streams[arrival.stream as usize],
        }
    }

    fn time(&self, arrival: &Arrival) -> EventTime {
        self.plan.config.start.plus(arrival.time)
    }

    /// Chooses a user of the stream, some much more often than others, and sets id and name. Returns bits
    /// that depend on the user alone.
    fn user(&mut self, stream: u32, random: &mut Random) -> u64 {
        let users = u64::from(self.plan.config.users_per_stream);
        let bits = random.next();
        let skewed = ((bits >> 32) * (bits & 0xFFFF_FFFF)) >> 32;
        let user = u64::from(stream) * users + ((skewed * users) >> 32);
        let own = mix(user ^ SALT);
        self.user_id.clear();
        self.user_id.extend_from_slice(b"user_");
        integer(user, &mut self.user_id);
        self.username.clear();
        self.username.push_str(words::ADJECTIVES[(own >> 8 & 15) as usize]);
        self.username.push('_');
        self.username.push_str(words::ANIMALS[(own >> 12 & 15) as usize]);
        for place in [16, 20, 24] {
            self.username.push(char::from(b'0' + (own >> place & 7) as u8));
        }
        own
    }

    /// Sets a message of about `length` bytes.
    fn say(&mut self, length: u64, sour: bool, random: &mut Random) {
        self.message.clear();
        let (mood, bits) = (random.below(100), random.next());
        let moody: Option<&[&str; 32]> = match (sour, mood) {
            (true, 0..70) | (false, 0..12) => Some(&words::BAD),
            (false, 12..34) => Some(&words::GOOD),
            _ => None,
        };
        let length = length as usize;
        let mut chance = bits;
        let mut left = 8;
        if bits & 63 == 0 {
            self.message.push_str(words::ODD[(bits >> 6 & 7) as usize]);
        }
        while self.message.len() < length || self.message.is_empty() {
            if left == 0 {
                (chance, left) = (random.next(), 8);
            }
            let pick = chance as usize;
            (chance, left) = (chance >> 8, left - 1);
            if !self.message.is_empty() {
                self.message.push(' ');
            }
            self.message.push_str(match moody {
                // One word in four carries the sentiment.
                Some(words) if pick & 0xC0 == 0 => words[pick & 31],
                _ => words::PLAIN[pick & 63],
            });
        }
        // A sentiment has to appear at least once.
        if let Some(words) = moody {
            self.message.push(' ');
            self.message.push_str(words[(bits >> 9 & 31) as usize]);
        }
    }

    fn chat(&mut self, arrival: &Arrival, sour: bool, random: &mut Random, out: &mut Vec<u8>) {
        let plan = Arc::clone(&self.plan);
        let own = self.user(arrival.stream, random);
        let vocabulary = &plan.config.emotes;
        let bits = random.next();
        let mut emotes = [""; 3];
        let count = if vocabulary.is_empty() { 0 } else { [0, 0, 0, 0, 1, 1, 2, 3][(bits & 7) as usize] };
        let mut emote_bytes = 0;
        for (place, emote) in emotes.iter_mut().take(count).enumerate() {
            // The lesser of two draws: the first emotes are used most.
            let draw = |shift: usize| ((bits >> shift & 0xFF) * vocabulary.len() as u64) >> 8;
            *emote = &vocabulary[draw(8 + 16 * place).min(draw(16 + 16 * place)) as usize];
            emote_bytes += 1 + emote.len() as u64;
        }
        let mean = u64::from(plan.config.message_bytes);
        // The message ends at the end of a word: on average this much after the requested length.
        let length = (mean / 2 + random.below(mean + 1)).saturating_sub(4 + emote_bytes);
        self.say(length, sour, random);
        for emote in &emotes[..count] {
            self.message.push(' ');
            self.message.push_str(emote);
        }
        let (is_subscriber, is_moderator) = (own & 3 == 0, own >> 2 & 63 == 0);
        let mut badges = [""; 2];
        let held = [(is_moderator, "moderator"), (is_subscriber, "subscriber")];
        let mut worn = 0;
        for (_, badge) in held.into_iter().filter(|(held, _)| *held) {
            badges[worn] = badge;
            worn += 1;
        }
        let event = Event::Chat(ChatMessage {
            header: self.header(arrival),
            user_id: ascii(&self.user_id),
            username: &self.username,
            message: &self.message,
            emotes: &emotes[..count],
            badges: &badges[..worn],
            is_subscriber,
            is_moderator,
            sentiment: 0,
        });
        encode_json(&event, out);
    }

    fn transaction(&mut self, arrival: &Arrival, surge: bool, random: &mut Random, out: &mut Vec<u8>) {
        self.user(arrival.stream, random);
        let kind = if surge { 0 } else { random.below(10) };
        let (transaction_type, currency, amount) = match kind {
            0..6 => {
                let currency =
                    [Currency::Usd, Currency::Usd, Currency::Eur, Currency::Gbp][random.below(4) as usize];
                (TransactionType::Donation, currency, spread(random) * (AMOUNT_SCALE / 100))
            }
            6..8 => {
                let price = [499, 499, 499, 999, 2499][random.below(5) as usize];
                (TransactionType::Subscription, Currency::Usd, price * (AMOUNT_SCALE / 100))
            }
            _ => (TransactionType::Bits, Currency::Bits, spread(random) * AMOUNT_SCALE),
        };
        let speaks = random.below(2) == 0;
        if speaks {
            self.say(20, false, random);
        }
        let event = Event::Transaction(Transaction {
            header: self.header(arrival),
            user_id: ascii(&self.user_id),
            username: &self.username,
            transaction_type,
            amount,
            currency,
            message: speaks.then_some(&self.message),
        });
        encode_json(&event, out);
    }

    fn meta(&self, arrival: &Arrival, random: &mut Random, out: &mut Vec<u8>) {
        let time = self.time(arrival);
        let title = words::TITLES[random.below(words::TITLES.len() as u64) as usize];
        let category = words::CATEGORIES[random.below(words::CATEGORIES.len() as u64) as usize];
        let retitled = random.below(3) > 0;
        let mut meta = StreamMeta {
            header: self.header(arrival),
            event_type: MetaType::StreamStart,
            new_title: Some(title),
            new_category: Some(category),
            started_at: Some(time),
            ended_at: None,
            duration_minutes: None,
        };
        if let Body::Change = arrival.body {
            meta.started_at = None;
            if retitled {
                (meta.event_type, meta.new_category) = (MetaType::TitleChange, None);
            } else {
                (meta.event_type, meta.new_title) = (MetaType::CategoryChange, None);
            }
        } else if let Body::End { minutes } = arrival.body {
            meta.event_type = MetaType::StreamEnd;
            (meta.new_title, meta.new_category, meta.started_at) = (None, None, None);
            meta.ended_at = Some(time);
            meta.duration_minutes = Some(minutes.into());
        }
        encode_json(&Event::Meta(meta), out);
    }
}

/// A number from 100 to 6399, about log-normally distributed around 800: a power of two whose exponent is a
/// sum of random numbers.
fn spread(random: &mut Random) -> i64 {
    let bits = random.next();
    // Four uniform numbers of 16 bits, scaled so that the sum runs from 0 to 6, in units of 2⁻¹⁶.
    let sum: u64 = (0..4).map(|quarter| bits >> (16 * quarter) & 0xFFFF).sum();
    let exponent = sum * 6 / 4;
    let (whole, rest) = (exponent >> 16, exponent & 0xFFFF);
    ((100 << whole) + ((100 * rest) << whole >> 16)) as i64
}

/// The text of bytes that were written as ASCII.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
