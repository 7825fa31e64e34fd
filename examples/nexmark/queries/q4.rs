//! Q4, the mean of closing prices by category: the highest bid of each auction while it was open, then the
//! mean of these.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::{NexmarkEvents, What};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct CategoryMean {
    category: u64,
    auctions: u64,
    total: u64,
}

impl Row for CategoryMean {
    fn table() -> Table {
        Table::new("q4")
            .key(Column::new("category", ColumnKind::Integer))
            .column(Column::new("auctions", ColumnKind::Integer))
            .column(Column::new("mean", ColumnKind::Float))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.category));
        put(Value::Unsigned(self.auctions));
        put(Value::Float(self.total as f64 / self.auctions as f64));
    }
}

/// One side of the join, by the auction's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Side {
    auction: u64,
    time: EventTime,
    what: Offer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Offer {
    Auction { expires: EventTime, category: u64 },
    Bid(u64),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Open {
    /// The time of its opening and of its expiry, and its category.
    auction: Option<(EventTime, EventTime, u64)>,
    highest: Option<u64>,
    /// Bids that came before their auction.
    waiting: Vec<(EventTime, u64)>,
}

impl Open {
    fn result(&self) -> Option<(u64, u64)> {
        Some((self.auction?.2, self.highest?))
    }

    fn bid(&mut self, time: EventTime, price: u64) {
        match self.auction {
            Some((opens, expires, _)) if opens <= time && time <= expires => {
                self.highest = self.highest.max(Some(price));
            }
            Some(_) => {}
            None => self.waiting.push((time, price)),
        }
    }
}

/// The category and the highest bid of each auction.
struct Closing;

impl KeyedProcess for Closing {
    type In = Side;
    type Key = u64;
    type State = Open;
    type Out = (u64, u64);

    fn key(side: &Side) -> u64 {
        side.auction
    }

    fn process(&self, state: &mut Open, side: Side, emit: &mut dyn FnMut((u64, u64), isize)) {
        let before = state.result();
        match side.what {
            Offer::Bid(price) => state.bid(side.time, price),
            Offer::Auction { expires, category } => {
                state.auction = Some((side.time, expires, category));
                for (time, price) in std::mem::take(&mut state.waiting) {
                    state.bid(time, price);
                }
            }
        }
        let now = state.result();
        if now != before {
            before.into_iter().for_each(|result| emit(result, -1));
            now.into_iter().for_each(|result| emit(result, 1));
        }
    }

    fn results(&self, _: &u64, state: &Open, emit: &mut dyn FnMut((u64, u64))) {
        state.result().into_iter().for_each(emit);
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .table::<CategoryMean>()
        .collect(
            "auctions and their bids",
            |event| {
                let (auction, what) = match &event.what {
                    What::Person(_) => return None,
                    What::Auction(auction) => {
                        (auction.id, Offer::Auction { expires: auction.expires, category: auction.category })
                    }
                    What::Bid(bid) => (bid.auction, Offer::Bid(bid.price)),
                };
                Some(Side { auction, time: event.time, what })
            },
            |graph, sides| {
                let prices = sides.process_by_key("closing prices", graph.context(), Closing);
                // Differential dataflow adds weights, so a mean is stored as a weight of price and number.
                let totals = prices.explode(|(category, price)| Some((category, (price as isize, 1_isize))));
                let means = totals.count().map(|(category, (total, auctions))| CategoryMean {
                    category,
                    auctions: auctions as u64,
                    total: total as u64,
                });
                graph.publish(means);
            },
        )
        .start()
}
