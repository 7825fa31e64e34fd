//! The events of Nexmark: persons who open auctions, auctions, and bids. They borrow from their JSON line.

use std::borrow::Cow;

use serde::Deserialize;
use telemetra::core::{Arena, DecodeError};
use telemetra::prelude::*;

/// An event, with the number that the generator gave it.
#[derive(Debug)]
pub(crate) struct Nexmark<'a> {
    pub(crate) id: u64,
    pub(crate) time: EventTime,
    pub(crate) what: What<'a>,
}

#[derive(Debug)]
pub(crate) enum What<'a> {
    Person(Person<'a>),
    Auction(Auction<'a>),
    Bid(Bid),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Person<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) city: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) state: Cow<'a, str>,
    date_time: EventTime,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Auction<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) item_name: Cow<'a, str>,
    pub(crate) expires: EventTime,
    pub(crate) seller: u64,
    pub(crate) category: u64,
    date_time: EventTime,
}

#[derive(Copy, Clone, Debug, Deserialize)]
pub(crate) struct Bid {
    pub(crate) auction: u64,
    pub(crate) bidder: u64,
    /// The price in cents.
    pub(crate) price: u64,
    date_time: EventTime,
}

impl Nexmark<'_> {
    pub(crate) fn bid(&self) -> Option<Bid> {
        match self.what {
            What::Bid(bid) => Some(bid),
            _ => None,
        }
    }
}

impl Event for Nexmark<'_> {
    type Key = u64;

    fn time(&self) -> EventTime {
        self.time
    }

    /// The person or auction of the event.
    fn key(&self) -> u64 {
        match &self.what {
            What::Person(person) => person.id,
            What::Auction(auction) => auction.id,
            What::Bid(bid) => bid.auction,
        }
    }
}

/// The family of the events, which differ only in the lifetime of their line.
#[derive(Debug)]
pub(crate) struct NexmarkEvents;

impl Events for NexmarkEvents {
    type Key = u64;
    type Of<'a> = Nexmark<'a>;
}

/// Decodes lines in the generator's format: `{"id":7,"Bid":{…}}`.
#[derive(Copy, Clone, Debug)]
pub(crate) struct NexmarkJson;

#[derive(Deserialize)]
struct Line<'a> {
    id: u64,
    #[serde(borrow, rename = "Person")]
    person: Option<Person<'a>>,
    #[serde(borrow, rename = "Auction")]
    auction: Option<Auction<'a>>,
    #[serde(rename = "Bid")]
    bid: Option<Bid>,
}

impl Decoder<NexmarkEvents> for NexmarkJson {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        _: &'a Arena,
        events: &mut Vec<Nexmark<'a>>,
    ) -> Result<(), DecodeError> {
        let line: Line<'a> = serde_json::from_slice(record.value).map_err(DecodeError::because)?;
        let (time, what) = match line {
            Line { person: Some(person), auction: None, bid: None, .. } => {
                (person.date_time, What::Person(person))
            }
            Line { auction: Some(auction), person: None, bid: None, .. } => {
                (auction.date_time, What::Auction(auction))
            }
            Line { bid: Some(bid), person: None, auction: None, .. } => (bid.date_time, What::Bid(bid)),
            _ => return Err(DecodeError::new("it is not one of Person, Auction and Bid")),
        };
        events.push(Nexmark { id: line.id, time, what });
        Ok(())
    }
}
