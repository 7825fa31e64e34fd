//! Q11, user sessions: the number of bids of each bidder in each run of bids without a gap of ten seconds.

use telemetra::prelude::*;

use crate::event::NexmarkEvents;

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .group_by(
            "q11",
            |event| event.bid().map_or(0, |bid| bid.bidder),
            sessions(seconds(10)),
            |a| a.count("bids"),
        )
        .filter(|event| event.bid().is_some())
        .key_columns(["bidder"])
        .start()
}
