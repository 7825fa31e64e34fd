//! A join of two streams without a window: orders with their payments, in either order of arrival. After
//! Flink's stateful join of rides and fares, and Bytewax's `join`.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Message {
    order: u64,
    time: EventTime,
    item: Option<String>,
    paid: Option<u64>,
}

impl Event for Message {
    type Key = u64;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> u64 {
        self.order
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Paid {
    order: u64,
    item: String,
    cents: u64,
}

impl Row for Paid {
    fn table() -> Table {
        let columns = [Column::new("item", ColumnKind::Text), Column::new("cents", ColumnKind::Integer)];
        Table::new("paid_orders").key(Column::new("order_id", ColumnKind::Integer)).columns(columns)
    }
    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.order));
        put(Value::Text(&self.item));
        put(Value::Unsigned(self.cents));
    }
}

struct Join;

impl KeyedProcess for Join {
    type In = Message;
    type Key = u64;
    /// The item and the payment, `None` until they have arrived.
    type State = (Option<String>, Option<u64>);
    type Out = Paid;

    fn key(message: &Message) -> u64 {
        message.order
    }
    fn process(&self, known: &mut Self::State, message: Message, emit: &mut dyn FnMut(Paid, isize)) {
        self.results(&message.order, known, &mut |row| emit(row, -1));
        known.0 = message.item.or(known.0.take());
        known.1 = message.paid.or(known.1.take());
        self.results(&message.order, known, &mut |row| emit(row, 1));
    }
    fn results(&self, &order: &u64, known: &Self::State, emit: &mut dyn FnMut(Paid)) {
        if let (Some(item), Some(cents)) = known.clone() {
            emit(Paid { order, item, cents });
        }
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let orders = MemorySource::default().partition(
        "orders",
        [r#"{"order": 1, "time": 1000, "item": "tea"}"#, r#"{"order": 2, "time": 2000, "item": "rice"}"#],
    );
    let payments =
        MemorySource::default().partition("payments", [r#"{"order": 1, "time": 500, "paid": 350}"#]);
    Pipeline::<Message>::new()
        .source(orders, SerdeJson::new())
        .source(payments, SerdeJson::new())
        .sink(tables.clone())
        .table::<Paid>()
        .collect(
            "orders and payments",
            |message| Some(message.clone()),
            |graph, messages| {
                graph.publish(messages.process_by_key("paid orders", graph.context(), Join));
            },
        )
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn an_order_is_joined_with_its_payment() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    assert_eq!(tables.rows_of::<Paid>(), [Paid { order: 1, item: "tea".to_owned(), cents: 350 }]);
    Ok(())
}
