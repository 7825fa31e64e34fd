//! The queries, each in a file of its own: all of them are user code on the public API alone.

use telemetra::prelude::*;

use crate::event::NexmarkEvents;

pub(crate) mod q1;
pub(crate) mod q11;
pub(crate) mod q15;
pub(crate) mod q18;
pub(crate) mod q19;
pub(crate) mod q2;
pub(crate) mod q20;
pub(crate) mod q3;
pub(crate) mod q4;
pub(crate) mod q5;
pub(crate) mod q7;
pub(crate) mod q8;

/// A query: its name, its question, and the function that adds it to a pipeline with source and sink.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Query {
    /// The name of the query and of its table.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) start: fn(Pipeline<NexmarkEvents>) -> Result<Running, PipelineError>,
}

/// All queries, in the order of their numbers.
pub(crate) const QUERIES: [Query; 12] = [
    Query { name: "q1", about: "bids with their price in euros", start: q1::start },
    Query { name: "q2", about: "bids on some auctions", start: q2::start },
    Query { name: "q3", about: "who sells in some states in a category", start: q3::start },
    Query { name: "q4", about: "the mean of the closing prices of a category", start: q4::start },
    Query { name: "q5", about: "the auctions with most bids in the last ten seconds", start: q5::start },
    Query { name: "q7", about: "the highest bid of each ten seconds", start: q7::start },
    Query { name: "q8", about: "who opened an auction as soon as registered", start: q8::start },
    Query { name: "q11", about: "how often each bidder bids in a session", start: q11::start },
    Query { name: "q15", about: "bids, bidders and auctions of a day, by price", start: q15::start },
    Query { name: "q18", about: "the last bid of each bidder on each auction", start: q18::start },
    Query { name: "q19", about: "the ten highest bids of each auction", start: q19::start },
    Query { name: "q20", about: "bids with the auctions of a category", start: q20::start },
];
