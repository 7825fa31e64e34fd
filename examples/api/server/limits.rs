use std::time::Duration;

/// What a client may ask of the service, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at a time, WebSockets included. Those beyond wait to be accepted.
    pub(crate) connections: usize,
    /// How long a connection may say nothing. With each heartbeat a WebSocket is sent a ping.
    pub(crate) silence: Duration,
    /// How long an answer may take.
    pub(crate) answer: Duration,
    /// The largest body of a request, in bytes. No endpoint needs one.
    pub(crate) body: usize,
    /// How often a WebSocket is told that all is well.
    pub(crate) heartbeat: Duration,
    /// How long a WebSocket may leave pings unanswered.
    pub(crate) pong: Duration,
    /// How long a WebSocket may take to accept one message.
    pub(crate) send: Duration,
    /// How many messages may wait for a WebSocket.
    pub(crate) waiting: usize,
    /// How long the frontier may stand still before the service is not ready.
    pub(crate) stalled: Duration,
    /// How long connections have to end when the service stops.
    pub(crate) farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            silence: Duration::from_secs(75),
            answer: Duration::from_secs(10),
            body: 16 * 1024,
            heartbeat: Duration::from_secs(15),
            pong: Duration::from_secs(45),
            send: Duration::from_secs(10),
            waiting: 256,
            stalled: Duration::from_secs(60),
            farewell: Duration::from_secs(5),
        }
    }
}
