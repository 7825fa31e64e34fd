//! Q1, currency conversion: `SELECT auction, bidder, 0.908 * price, dateTime FROM bid`.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::NexmarkEvents;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct BidInEuros {
    id: u64,
    auction: u64,
    bidder: u64,
    /// The price in thousandths of a cent, which is exact.
    price: u64,
    time: EventTime,
}

impl Row for BidInEuros {
    fn table() -> Table {
        Table::new("q1")
            .key(Column::new("id", ColumnKind::Integer))
            .column(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("bidder", ColumnKind::Integer))
            .column(Column::new("price", ColumnKind::Integer))
            .column(Column::new("time", ColumnKind::Time))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.id));
        put(Value::Unsigned(self.auction));
        put(Value::Unsigned(self.bidder));
        put(Value::Unsigned(self.price));
        put(Value::Time(self.time));
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .rows(|event| {
            let bid = event.bid()?;
            Some(BidInEuros {
                id: event.id,
                auction: bid.auction,
                bidder: bid.bidder,
                price: bid.price * 908,
                time: event.time,
            })
        })
        .start()
}
