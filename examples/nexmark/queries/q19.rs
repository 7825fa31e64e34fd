//! Q19, the ten highest bids of each auction, with their rank.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::NexmarkEvents;

/// A bid, in the order of the ranking: the highest price first, then the bid that was generated first.
type Bid = (Reverse<u64>, u64, u64);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct TopBid {
    auction: u64,
    rank: u64,
    bid: Bid,
}

impl Row for TopBid {
    fn table() -> Table {
        Table::new("q19")
            .key(Column::new("auction", ColumnKind::Integer))
            .key(Column::new("rank", ColumnKind::Integer))
            .column(Column::new("price", ColumnKind::Integer))
            .column(Column::new("id", ColumnKind::Integer))
            .column(Column::new("bidder", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        let (Reverse(price), id, bidder) = self.bid;
        put(Value::Unsigned(self.auction));
        put(Value::Unsigned(self.rank));
        put(Value::Unsigned(price));
        put(Value::Unsigned(id));
        put(Value::Unsigned(bidder));
    }
}

const RANKS: usize = 10;

/// The rows of an auction's bids from a rank on, with ranks counted from 0.
fn rows(auction: u64, bids: &[Bid], from: usize) -> impl Iterator<Item = TopBid> + '_ {
    let ranked = bids.iter().enumerate().skip(from);
    ranked.map(move |(rank, bid)| TopBid { auction, rank: rank as u64 + 1, bid: *bid })
}

struct Top10;

impl KeyedProcess for Top10 {
    type In = (u64, Bid);
    type Key = u64;
    /// The highest bids, in order.
    type State = Vec<Bid>;
    type Out = TopBid;

    fn key((auction, _): &(u64, Bid)) -> u64 {
        *auction
    }

    fn process(&self, top: &mut Vec<Bid>, (auction, bid): (u64, Bid), emit: &mut dyn FnMut(TopBid, isize)) {
        let rank = top.partition_point(|other| *other < bid);
        if rank < RANKS {
            rows(auction, top, rank).for_each(|row| emit(row, -1));
            top.insert(rank, bid);
            top.truncate(RANKS);
            rows(auction, top, rank).for_each(|row| emit(row, 1));
        }
    }

    fn results(&self, auction: &u64, top: &Vec<Bid>, emit: &mut dyn FnMut(TopBid)) {
        rows(*auction, top, 0).for_each(emit);
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .table::<TopBid>()
        .collect(
            "bids",
            |event| {
                let bid = event.bid()?;
                Some((bid.auction, (Reverse(bid.price), event.id, bid.bidder)))
            },
            |graph, bids| graph.publish(bids.process_by_key("top bids", graph.context(), Top10)),
        )
        .start()
}
