//! Q18, the last bid of each bidder on each auction.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::NexmarkEvents;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct LastBid {
    by: (u64, u64),
    time: EventTime,
    id: u64,
    price: u64,
}

impl Row for LastBid {
    fn table() -> Table {
        Table::new("q18")
            .key(Column::new("bidder", ColumnKind::Integer))
            .key(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("time", ColumnKind::Time))
            .column(Column::new("id", ColumnKind::Integer))
            .column(Column::new("price", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.by.0));
        put(Value::Unsigned(self.by.1));
        put(Value::Time(self.time));
        put(Value::Unsigned(self.id));
        put(Value::Unsigned(self.price));
    }
}

/// Keeps the newest bid of each bidder and auction; at equal times, the one generated last.
struct Last;

impl KeyedProcess for Last {
    type In = LastBid;
    type Key = (u64, u64);
    type State = Option<LastBid>;
    type Out = LastBid;

    fn key(bid: &LastBid) -> (u64, u64) {
        bid.by
    }

    fn process(&self, last: &mut Option<LastBid>, bid: LastBid, emit: &mut dyn FnMut(LastBid, isize)) {
        if last.as_ref().is_none_or(|last| *last < bid) {
            if let Some(before) = last.replace(bid.clone()) {
                emit(before, -1);
            }
            emit(bid, 1);
        }
    }

    fn results(&self, _: &(u64, u64), last: &Option<LastBid>, emit: &mut dyn FnMut(LastBid)) {
        last.iter().cloned().for_each(emit);
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .table::<LastBid>()
        .collect(
            "bids",
            |event| {
                let bid = event.bid()?;
                let (id, time) = (event.id, event.time);
                Some(LastBid { by: (bid.bidder, bid.auction), time, id, price: bid.price })
            },
            |graph, bids| graph.publish(bids.process_by_key("last bids", graph.context(), Last)),
        )
        .start()
}
