use std::time::Duration;

/// The limits of a service: sizes of requests and answers, time-outs, and queues of followers. Times are processing
/// time, except [`history`](Self::history).
#[derive(Clone, Debug)]
pub struct Limits {
    /// The greatest number of open connections, followers included. [`serve`](crate::http::serve()) does not
    /// accept more until one is closed. Default: 10,000.
    pub connections: usize,
    /// The time after which a connection without any traffic is closed. Heartbeats count as traffic. Default:
    /// 75 s.
    pub idle_timeout: Duration,
    /// The time within which an answer must begin. Default: 10 s.
    pub answer_timeout: Duration,
    /// The greatest length of the body of a request, in bytes. The routes of [`router`](super::router) need no body.
    /// Default: 16 KiB.
    pub body: usize,
    /// The greatest number of rows, keys or moments in one answer. Default: 1,000.
    pub page: u64,
    /// The greatest span of event time that a follower's snapshot may cover. Default: a day.
    pub history: Duration,
    /// The interval of heartbeats to followers, which contain the event time that answers have reached.
    /// Default: 15 s.
    pub heartbeat: Duration,
    /// The time after which a WebSocket that does not answer pings is closed. Default: 45 s.
    pub pong_timeout: Duration,
    /// The time within which a follower must accept one message; otherwise it is disconnected. Default: 10 s.
    pub send_timeout: Duration,
    /// The number of messages that may be queued for a follower of one key before it is disconnected.
    /// Default: 256.
    pub queue: usize,
    /// The number of messages that may be queued for a follower of all keys before it is disconnected. As all keys
    /// may change at the end of a window, it should be at least the number of keys. Default: 16,384.
    pub queue_all: usize,
    /// The time for which the event time of answers may stay the same before `/ready` answers 503. Default: 60 s.
    pub stalled_after: Duration,
    /// The time that open connections have to end when the service stops. Default: 5 s.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            idle_timeout: Duration::from_secs(75),
            answer_timeout: Duration::from_secs(10),
            body: 16 * 1024,
            page: 1_000,
            history: Duration::from_secs(86_400),
            heartbeat: Duration::from_secs(15),
            pong_timeout: Duration::from_secs(45),
            send_timeout: Duration::from_secs(10),
            queue: 256,
            queue_all: 1 << 14,
            stalled_after: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}
