//! Enrichment by reference data that changes: the newest reading of each sensor, with the city in which the
//! sensor is now. After Flink's lookup join and Materialize's join with a dimension.

use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Message {
    sensor: u64,
    time: EventTime,
    /// The city, in a message of the installers.
    city: Option<String>,
    /// The temperature, in a message of the sensor.
    celsius: Option<i64>,
}

impl Event for Message {
    type Key = u64;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> u64 {
        self.sensor
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Located {
    sensor: u64,
    celsius: i64,
    city: Option<String>,
}

impl Row for Located {
    fn table() -> Table {
        Table::new("sensors")
            .key(Column::new("sensor", ColumnKind::Integer))
            .column(Column::new("celsius", ColumnKind::Integer))
            .column(Column::nullable("city", ColumnKind::Text))
    }
    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Unsigned(self.sensor));
        put(Value::Signed(self.celsius));
        put(Value::or_null(self.city.as_deref().map(Value::Text)));
    }
}

struct Locate;

impl KeyedProcess for Locate {
    type In = Message;
    type Key = u64;
    type State = (Option<i64>, Option<String>);
    type Out = Located;

    fn key(message: &Message) -> u64 {
        message.sensor
    }
    fn process(&self, known: &mut Self::State, message: Message, emit: &mut dyn FnMut(Located, isize)) {
        self.results(&message.sensor, known, &mut |row| emit(row, -1));
        known.0 = message.celsius.or(known.0);
        known.1 = message.city.or(known.1.take());
        self.results(&message.sensor, known, &mut |row| emit(row, 1));
    }
    fn results(&self, &sensor: &u64, (celsius, city): &Self::State, emit: &mut dyn FnMut(Located)) {
        celsius.iter().for_each(|&celsius| emit(Located { sensor, celsius, city: city.clone() }));
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let messages = [
        r#"{"sensor": 1, "time": 1000, "city": "Bern"}"#,
        r#"{"sensor": 1, "time": 2000, "celsius": 21}"#,
        r#"{"sensor": 2, "time": 3000, "celsius": 7}"#,
        // The sensor is moved, so its newest reading now has another city.
        r#"{"sensor": 1, "time": 60000, "city": "Basel"}"#,
    ];
    Pipeline::<Message>::new()
        .source(crate::records(messages), SerdeJson::new())
        .sink(tables.clone())
        .table::<Located>()
        .collect(
            "readings and places",
            |message| Some(message.clone()),
            |graph, messages| {
                graph.publish(messages.process_by_key("located", graph.context(), Locate));
            },
        )
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn readings_have_the_city_that_the_sensor_is_in_now() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let mut rows = tables.rows_of::<Located>();
    rows.sort();
    let row =
        |sensor, celsius, city: Option<&str>| Located { sensor, celsius, city: city.map(str::to_owned) };
    assert_eq!(rows, [row(1, 21, Some("Basel")), row(2, 7, None)]);
    Ok(())
}
