//! Q3, local item suggestion: sellers in Oregon, Idaho or California in category 10. It is a join of auctions
//! and persons without a window: either side may come first, so each waits for the other.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::{NexmarkEvents, What};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Seller {
    name: String,
    city: String,
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct LocalItem {
    auction: u64,
    seller: Seller,
}

impl Row for LocalItem {
    fn table() -> Table {
        Table::new("q3")
            .key(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("name", ColumnKind::Text))
            .column(Column::new("city", ColumnKind::Text))
            .column(Column::new("state", ColumnKind::Text))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.auction));
        put(Value::Text(&self.seller.name));
        put(Value::Text(&self.seller.city));
        put(Value::Text(&self.seller.state));
    }
}

/// One side of the join, by the person's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Person(u64, Seller),
    Auction { seller: u64, auction: u64 },
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Joined {
    seller: Option<Seller>,
    auctions: Vec<u64>,
}

struct LocalItems;

impl KeyedProcess for LocalItems {
    type In = Side;
    type Key = u64;
    type State = Joined;
    type Out = LocalItem;

    fn key(side: &Side) -> u64 {
        match side {
            Side::Person(person, _) => *person,
            Side::Auction { seller, .. } => *seller,
        }
    }

    fn process(&self, state: &mut Joined, side: Side, emit: &mut dyn FnMut(LocalItem, isize)) {
        match side {
            Side::Person(_, seller) => {
                for &auction in &state.auctions {
                    emit(LocalItem { auction, seller: seller.clone() }, 1);
                }
                state.seller = Some(seller);
            }
            Side::Auction { auction, .. } => {
                state.auctions.push(auction);
                if let Some(seller) = &state.seller {
                    emit(LocalItem { auction, seller: seller.clone() }, 1);
                }
            }
        }
    }

    fn results(&self, _: &u64, state: &Joined, emit: &mut dyn FnMut(LocalItem)) {
        if let Some(seller) = &state.seller {
            state.auctions.iter().for_each(|&auction| emit(LocalItem { auction, seller: seller.clone() }));
        }
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .table::<LocalItem>()
        .collect(
            "sellers and their auctions",
            |event| match &event.what {
                What::Person(person) if matches!(&*person.state, "or" | "id" | "ca") => {
                    let [name, city, state] =
                        [&person.name, &person.city, &person.state].map(ToString::to_string);
                    Some(Side::Person(person.id, Seller { name, city, state }))
                }
                What::Auction(auction) if auction.category == 10 => {
                    Some(Side::Auction { seller: auction.seller, auction: auction.id })
                }
                _ => None,
            },
            |graph, sides| {
                graph.publish(sides.process_by_key("local items", graph.context(), LocalItems));
            },
        )
        .start()
}
