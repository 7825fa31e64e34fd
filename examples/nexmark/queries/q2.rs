//! Q2, selection: `SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0`.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::NexmarkEvents;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SomeBid {
    id: u64,
    auction: u64,
    price: u64,
}

impl Row for SomeBid {
    fn table() -> Table {
        Table::new("q2")
            .key(Column::new("id", ColumnKind::Integer))
            .column(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("price", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.id));
        put(Value::Unsigned(self.auction));
        put(Value::Unsigned(self.price));
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .rows(|event| {
            let bid = event.bid().filter(|bid| bid.auction % 123 == 0)?;
            Some(SomeBid { id: event.id, auction: bid.auction, price: bid.price })
        })
        .start()
}
