use std::time::Duration;

/// What clients may ask of a service, and for how long.
///
/// ```
/// use telemetra::http::Limits;
/// let limits = Limits { connections: 100, ..Limits::default() };
/// assert_eq!(limits.page, 1_000);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time, followers included; [`serve`](crate::http::serve()) leaves those beyond waiting
    /// to be accepted. Default: 10,000.
    pub connections: usize,
    /// How long nothing may pass over a connection. With each heartbeat a follower is sent something.
    /// Default: 75 s.
    pub silence: Duration,
    /// How long an answer may take until it begins. Default: 10 s.
    pub answer: Duration,
    /// The largest body of a request, in bytes. No path needs one. Default: 16 KiB.
    pub body: usize,
    /// The most rows, keys or moments in one answer. Default: 1,000.
    pub page: u64,
    /// How far back a follower's snapshot may reach. Default: a day.
    pub history: Duration,
    /// How often a follower is told how far the answers are. Default: 15 s.
    pub heartbeat: Duration,
    /// How long a WebSocket may leave pings unanswered. Default: 45 s.
    pub pong: Duration,
    /// How long a follower may take to accept one message. Default: 10 s.
    pub send: Duration,
    /// How many messages may wait for a follower of one key. Default: 256.
    pub waiting: usize,
    /// How many messages may wait for a follower of all keys: a whole window of many of them. Default:
    /// 16,384.
    pub waiting_all: usize,
    /// How long the event time that answers have reached may stand still before the service is not ready.
    /// Default: 60 s.
    pub stalled: Duration,
    /// How long connections have to end when the service stops. Default: 5 s.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            silence: Duration::from_secs(75),
            answer: Duration::from_secs(10),
            body: 16 * 1024,
            page: 1_000,
            history: Duration::from_secs(86_400),
            heartbeat: Duration::from_secs(15),
            pong: Duration::from_secs(45),
            send: Duration::from_secs(10),
            waiting: 256,
            waiting_all: 1 << 14,
            stalled: Duration::from_secs(60),
            farewell: Duration::from_secs(5),
        }
    }
}
