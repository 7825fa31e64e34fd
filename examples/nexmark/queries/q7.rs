//! Q7, the highest bid of each ten seconds. All bids have one key: each worker finds the highest of its own
//! bids, so that no worker gets all of them.

use serde::{Deserialize, Serialize};
use telemetra::core::aggregate::TwoStacks;
use telemetra::prelude::*;

use crate::event::{Nexmark, NexmarkEvents};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct HighestBid {
    window_end: EventTime,
    id: u64,
    bid: (u64, u64),
    price: u64,
}

impl Row for HighestBid {
    fn table() -> Table {
        Table::new("q7")
            .key(Column::new("window_end", ColumnKind::Time))
            .key(Column::new("id", ColumnKind::Integer))
            .column(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("bidder", ColumnKind::Integer))
            .column(Column::new("price", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Time(self.window_end));
        put(Value::Unsigned(self.id));
        put(Value::Unsigned(self.bid.0));
        put(Value::Unsigned(self.bid.1));
        put(Value::Unsigned(self.price));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.window_end)
    }
}

/// The bids with the highest price: by the bid's id, the auction and the bidder.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Highest {
    price: u64,
    bids: Vec<(u64, (u64, u64))>,
}

impl Highest {
    fn offer(&mut self, price: u64, bids: impl IntoIterator<Item = (u64, (u64, u64))>) {
        if price < self.price {
            return;
        }
        if price > self.price {
            *self = Self { price, bids: Vec::new() };
        }
        self.bids.extend(bids);
    }
}

impl Accumulate<&Nexmark<'_>> for Highest {
    fn add(&mut self, event: &Nexmark<'_>) {
        if let Some(bid) = event.bid() {
            self.offer(bid.price, [(event.id, (bid.auction, bid.bidder))]);
        }
    }
}

impl Accumulator for Highest {
    type Output = Self;
    type Sliding = TwoStacks<Self>;

    fn merge(&mut self, other: &Self) {
        self.offer(other.price, other.bids.iter().copied());
    }

    fn finish(&self) -> Self {
        let mut highest = self.clone();
        highest.bids.sort_unstable();
        highest
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .group_by(
            "highest_bids",
            |_| true,
            tumbling(seconds(10)),
            |a| a.accumulator::<Highest>(vec![], |_, _, _| ()),
        )
        .filter(|event| event.bid().is_some())
        .unpublished()
        .publish(|group| {
            group.summaries.clone().flat_map(|(_, summary)| {
                let (window_end, price) = (summary.window.end, summary.value.price);
                let rows = summary.value.bids.clone().into_iter();
                rows.map(move |(id, bid)| HighestBid { window_end, id, bid, price })
            })
        })
        .start()
}
