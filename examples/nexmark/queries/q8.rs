//! Q8, new users: persons who registered and opened an auction in the same ten seconds. A join within windows
//! is one grouping: both kinds of events have the person's id as key.

use serde::{Deserialize, Serialize};
use telemetra::core::aggregate::TwoStacks;
use telemetra::prelude::*;

use crate::event::{Nexmark, NexmarkEvents, What};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct NewSeller {
    window_start: EventTime,
    person: u64,
    name: String,
}

impl Row for NewSeller {
    fn table() -> Table {
        Table::new("q8")
            .key(Column::new("window_start", ColumnKind::Time))
            .key(Column::new("person", ColumnKind::Integer))
            .column(Column::new("name", ColumnKind::Text))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Time(self.window_start));
        put(Value::Unsigned(self.person));
        put(Value::Text(&self.name));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.window_start)
    }
}

/// The actions of a person in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Did {
    /// The name that was registered.
    name: Option<String>,
    sells: bool,
}

impl Accumulate<&Nexmark<'_>> for Did {
    fn add(&mut self, event: &Nexmark<'_>) {
        match &event.what {
            What::Person(person) => self.name = Some(person.name.to_string()),
            What::Auction(_) => self.sells = true,
            What::Bid(_) => {}
        }
    }
}

impl Accumulator for Did {
    type Output = Self;
    type Sliding = TwoStacks<Self>;

    fn merge(&mut self, other: &Self) {
        // A person who registers twice gets the name that is first in the alphabet, in any order of arrival.
        self.name = [self.name.take(), other.name.clone()].into_iter().flatten().min();
        self.sells |= other.sells;
    }

    fn finish(&self) -> Self {
        self.clone()
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .group_by(
            "persons_and_auctions",
            |event| match &event.what {
                What::Auction(auction) => auction.seller,
                _ => event.key(),
            },
            tumbling(seconds(10)),
            |a| a.accumulator::<Did>(vec![], |_, _, _| ()),
        )
        .filter(|event| event.bid().is_none())
        .unpublished()
        .publish(|group| {
            group.summaries.clone().flat_map(|(person, summary)| {
                let window_start = summary.window.start.or_epoch();
                let name = summary.value.name.clone().filter(|_| summary.value.sells);
                name.map(|name| NewSeller { window_start, person, name })
            })
        })
        .start()
}
