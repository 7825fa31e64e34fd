//! Fault injection for the embedded Kafka cluster.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use telemetra_core::ExternalError;

use super::embedded::EmbeddedKafka;
use super::error::failed;

/// The kinds of requests that clients send to a broker, for [`fail_requests`](EmbeddedKafka::fail_requests), which has
/// an example.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KafkaRequest {
    /// A request to write records.
    Produce,
    /// A request to read records.
    Fetch,
    /// A request for the first, last or timestamped offset of a partition.
    ListOffsets,
    /// A request for topics, partitions and their leaders.
    Metadata,
    /// A request to store the offsets of a consumer group.
    OffsetCommit,
}

/// The ways in which a broker fails to answer a request, for [`fail_requests`](EmbeddedKafka::fail_requests), which has
/// an example. librdkafka itself repeats a request that failed for a passing reason, so a source or sink sees such a
/// fault only if it lasts; the two refusals are permanent errors at once.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KafkaFault {
    /// The broker closes the connection.
    Disconnected,
    /// The broker answers that the request timed out.
    TimedOut,
    /// The broker answers that another broker leads the partition.
    NotLeader,
    /// The broker answers that too few replicas are in sync.
    TooFewReplicas,
    /// The broker answers that the client is not authorized for the topic.
    TopicRefused,
    /// The broker answers that the client is not authorized for the group.
    GroupRefused,
    /// The broker answers with an unknown server error.
    Unknown,
}

impl KafkaRequest {
    fn key(self) -> RDKafkaApiKey {
        match self {
            Self::Produce => RDKafkaApiKey::Produce,
            Self::Fetch => RDKafkaApiKey::Fetch,
            Self::ListOffsets => RDKafkaApiKey::ListOffsets,
            Self::Metadata => RDKafkaApiKey::Metadata,
            Self::OffsetCommit => RDKafkaApiKey::OffsetCommit,
        }
    }
}

impl KafkaFault {
    fn code(self) -> RDKafkaRespErr {
        match self {
            Self::Disconnected => RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            Self::TimedOut => RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            Self::NotLeader => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Self::TooFewReplicas => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Self::TopicRefused => RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Self::GroupRefused => RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            Self::Unknown => RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN,
        }
    }
}

/// Methods that inject faults. Brokers are numbered from 1.
impl EmbeddedKafka {
    /// Takes a broker down: it closes its connections and accepts no new ones. Its data is kept.
    ///
    /// # Errors
    ///
    /// If there is no such broker.
    ///
    /// ```
    /// use telemetra_sinks::EmbeddedKafka;
    /// let kafka = EmbeddedKafka::start(3)?;
    /// kafka.broker_down(2)?;
    /// kafka.broker_up(2)?;
    /// assert!(kafka.broker_down(4).is_err());
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    pub fn broker_down(&self, broker: u16) -> Result<(), ExternalError> {
        let down = self.with(move |cluster| cluster.broker_down(i32::from(broker)));
        down.map_err(|error| failed(format!("cannot take broker {broker} down"), error))
    }

    /// Brings a broker back, with the data that it had.
    ///
    /// # Errors
    ///
    /// If there is no such broker.
    pub fn broker_up(&self, broker: u16) -> Result<(), ExternalError> {
        let up = self.with(move |cluster| cluster.broker_up(i32::from(broker)));
        up.map_err(|error| failed(format!("cannot bring broker {broker} up"), error))
    }

    /// Makes a broker delay every answer by `delay`. Zero ends the delay.
    ///
    /// # Errors
    ///
    /// If there is no such broker.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_sinks::EmbeddedKafka;
    /// let kafka = EmbeddedKafka::start(1)?;
    /// kafka.slow_broker(1, Duration::from_millis(200))?;
    /// assert!(kafka.slow_broker(2, Duration::from_millis(200)).is_err());
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    pub fn slow_broker(&self, broker: u16, delay: Duration) -> Result<(), ExternalError> {
        let slow = self.with(move |cluster| cluster.broker_round_trip_time(i32::from(broker), delay));
        slow.map_err(|error| failed(format!("cannot slow broker {broker} down"), error))
    }

    /// Makes a broker the leader of a partition.
    ///
    /// # Errors
    ///
    /// If there is no such partition or broker.
    ///
    /// ```
    /// use telemetra_sinks::EmbeddedKafka;
    /// let kafka = EmbeddedKafka::start(2)?;
    /// kafka.create_topic("readings", 1)?;
    /// kafka.move_leader("readings", 0, 2)?;
    /// assert!(kafka.move_leader("readings", 1, 2).is_err(), "the topic has one partition");
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    pub fn move_leader(&self, topic: &str, partition: u32, broker: u16) -> Result<(), ExternalError> {
        let what = format!("cannot make broker {broker} the leader of `{topic}/{partition}`");
        let Ok(number) = i32::try_from(partition) else {
            return Err(ExternalError::permanent(what + "; there is no such partition"));
        };
        let topic = topic.to_owned();
        let moved =
            self.with(move |cluster| cluster.partition_leader(&topic, number, Some(i32::from(broker))));
        moved.map_err(|error| failed(what, error))
    }

    /// Makes the next requests of one kind fail, one request for each element of `faults`, in order. The requests
    /// may come from any client and go to any broker. Faults of earlier calls come first; later requests are
    /// answered normally.
    ///
    /// # Panics
    ///
    /// If the cluster's thread has panicked.
    ///
    /// ```
    /// # use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Retry, Sink, Table, Value};
    /// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaFault, KafkaRequest, KafkaSink};
    /// # let table = Table::new("sites").key(Column::new("site", ColumnKind::Text));
    /// # let sites = Layout::new(table, |site: &String, put| put(Value::Text(site)));
    /// # let batch = |time| Batch { time: EventTime(time), changes: vec![sites.upsert("north".to_owned(), 0)] };
    /// let kafka = EmbeddedKafka::start(1)?;
    /// kafka.create_topic("plant.sites", 1)?;
    /// let config = KafkaConfig::new(kafka.bootstrap_servers());
    /// let mut sink = KafkaSink::new(config)?.dead_letters_to(None).topic("sites", "plant.sites");
    /// sink.open(&[sites.table().clone()], None)?;
    ///
    /// kafka.fail_requests(KafkaRequest::Produce, &[KafkaFault::Disconnected, KafkaFault::TooFewReplicas]);
    /// sink.apply(&[batch(59_999)])?; // librdkafka has tried again
    /// kafka.fail_requests(KafkaRequest::Produce, &[KafkaFault::TopicRefused; 50]);
    /// assert_eq!(sink.apply(&[batch(119_999)]).unwrap_err().retry(), Retry::Permanent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail_requests(&self, requests: KafkaRequest, faults: &[KafkaFault]) {
        let codes: Vec<_> = faults.iter().map(|fault| fault.code()).collect();
        self.with(move |cluster| cluster.request_errors(requests.key(), &codes));
    }
}
