//! Q5, hot items: the auctions with the most bids in the last ten seconds, every two seconds.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::NexmarkEvents;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct HotItem {
    window_end: EventTime,
    auction: u64,
    bids: u64,
}

impl Row for HotItem {
    fn table() -> Table {
        Table::new("q5")
            .key(Column::new("window_end", ColumnKind::Time))
            .key(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("bids", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Time(self.window_end));
        put(Value::Unsigned(self.auction));
        put(Value::Unsigned(self.bids));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.window_end)
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .group("bids_by_auction", sliding(seconds(10), seconds(2)), |a| a.count("bids"))
        .filter(|event| event.bid().is_some())
        .unpublished()
        .publish(|group| {
            let by_window = group.summaries.clone().map(|(auction, s)| (s.window.end, (*s.value, auction)));
            let hottest = by_window.reduce(|_, counts, hottest| {
                let most = counts.last().map_or(0, |((bids, _), _)| *bids);
                let hot = counts.iter().rev().take_while(|((bids, _), _)| *bids == most);
                hottest.extend(hot.map(|(count, _)| (**count, 1)));
            });
            hottest.map(|(window_end, (bids, auction))| HotItem { window_end, auction, bids })
        })
        .start()
}
