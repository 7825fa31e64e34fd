//! Q15, bidding statistics: the numbers of bids, bidders and auctions of a day, in total and by rank of
//! price.

use telemetra::prelude::*;

use crate::event::{Nexmark, NexmarkEvents};

/// The rank of a price: 0 below 10,000, 1 below 1,000,000, 2 above.
fn is_rank(event: &Nexmark<'_>, rank: u8) -> bool {
    event.bid().is_some_and(|bid| match bid.price {
        ..10_000 => rank == 0,
        10_000..1_000_000 => rank == 1,
        _ => rank == 2,
    })
}

fn bidder(event: &Nexmark<'_>) -> Option<u64> {
    event.bid().map(|bid| bid.bidder)
}

fn auction(event: &Nexmark<'_>) -> Option<u64> {
    event.bid().map(|bid| bid.auction)
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .group_by(
            "q15",
            |_| true,
            tumbling(hours(24)),
            |a| {
                (
                    (
                        a.count("bids"),
                        a.count_if("bids_1", |e| is_rank(e, 0)),
                        a.count_if("bids_2", |e| is_rank(e, 1)),
                        a.count_if("bids_3", |e| is_rank(e, 2)),
                    ),
                    (
                        a.distinct_ids("bidders", bidder),
                        a.distinct_ids("bidders_1", |e| bidder(e).filter(|_| is_rank(e, 0))),
                        a.distinct_ids("bidders_2", |e| bidder(e).filter(|_| is_rank(e, 1))),
                        a.distinct_ids("bidders_3", |e| bidder(e).filter(|_| is_rank(e, 2))),
                    ),
                    (
                        a.distinct_ids("auctions", auction),
                        a.distinct_ids("auctions_1", |e| auction(e).filter(|_| is_rank(e, 0))),
                        a.distinct_ids("auctions_2", |e| auction(e).filter(|_| is_rank(e, 1))),
                        a.distinct_ids("auctions_3", |e| auction(e).filter(|_| is_rank(e, 2))),
                    ),
                )
            },
        )
        .filter(|event| event.bid().is_some())
        .key_columns(["all_bids"])
        .start()
}
