//! Q20, bids with the auctions of category 10: a join without a window, whose rows are the bids.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::event::{NexmarkEvents, What};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Bid {
    id: u64,
    bidder: u64,
    price: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Item {
    auction: u64,
    name: String,
    seller: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct BidOnItem {
    bid: Bid,
    item: Item,
}

impl Row for BidOnItem {
    fn table() -> Table {
        Table::new("q20")
            .key(Column::new("id", ColumnKind::Integer))
            .column(Column::new("auction", ColumnKind::Integer))
            .column(Column::new("bidder", ColumnKind::Integer))
            .column(Column::new("price", ColumnKind::Integer))
            .column(Column::new("item_name", ColumnKind::Text))
            .column(Column::new("seller", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.bid.id));
        put(Value::Unsigned(self.item.auction));
        put(Value::Unsigned(self.bid.bidder));
        put(Value::Unsigned(self.bid.price));
        put(Value::Text(&self.item.name));
        put(Value::Unsigned(self.item.seller));
    }
}

/// One side of the join, by the auction's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    /// An auction; `None` if it is of another category.
    Auction(u64, Option<Item>),
    Bid(u64, Bid),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
enum Joined {
    /// Bids that came before their auction.
    #[default]
    Unknown,
    Waiting(Vec<Bid>),
    Other,
    Of(Item, Vec<Bid>),
}

struct BidsOnItems;

impl KeyedProcess for BidsOnItems {
    type In = Side;
    type Key = u64;
    type State = Joined;
    type Out = BidOnItem;

    fn key(side: &Side) -> u64 {
        match side {
            Side::Auction(auction, _) | Side::Bid(auction, _) => *auction,
        }
    }

    fn process(&self, state: &mut Joined, side: Side, emit: &mut dyn FnMut(BidOnItem, isize)) {
        match (side, &mut *state) {
            (Side::Bid(_, bid), Joined::Of(item, bids)) => {
                bids.push(bid.clone());
                emit(BidOnItem { bid, item: item.clone() }, 1);
            }
            (Side::Bid(_, bid), Joined::Waiting(bids)) => bids.push(bid),
            (Side::Bid(_, bid), Joined::Unknown) => *state = Joined::Waiting(vec![bid]),
            (Side::Bid(..), Joined::Other) => {}
            (Side::Auction(_, None), _) => *state = Joined::Other,
            (Side::Auction(_, Some(item)), before) => {
                let bids = match std::mem::take(before) {
                    Joined::Waiting(bids) => bids,
                    _ => Vec::new(),
                };
                for bid in &bids {
                    emit(BidOnItem { bid: bid.clone(), item: item.clone() }, 1);
                }
                *state = Joined::Of(item, bids);
            }
        }
    }

    fn results(&self, _: &u64, state: &Joined, emit: &mut dyn FnMut(BidOnItem)) {
        if let Joined::Of(item, bids) = state {
            bids.iter().for_each(|bid| emit(BidOnItem { bid: bid.clone(), item: item.clone() }));
        }
    }
}

pub(crate) fn start(pipeline: Pipeline<NexmarkEvents>) -> Result<Running, PipelineError> {
    pipeline
        .table::<BidOnItem>()
        .collect(
            "auctions and their bids",
            |event| match &event.what {
                What::Person(_) => None,
                What::Auction(auction) => {
                    let is_asked = auction.category == 10;
                    let item = is_asked.then(|| Item {
                        auction: auction.id,
                        name: auction.item_name.to_string(),
                        seller: auction.seller,
                    });
                    Some(Side::Auction(auction.id, item))
                }
                What::Bid(bid) => {
                    Some(Side::Bid(bid.auction, Bid { id: event.id, bidder: bid.bidder, price: bid.price }))
                }
            },
            |graph, sides| {
                graph.publish(sides.process_by_key("bids on items", graph.context(), BidsOnItems));
            },
        )
        .start()
}
