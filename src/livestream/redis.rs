//! The names of the live-stream job's keys in Redis.

use crate::sinks::{RedisKeys, RedisTable};

/// Returns the names of the Redis keys and channels of the live-stream pipeline, for
/// [`RedisSink::keys`](crate::sinks::RedisSink::keys) and for services that read the keys: `telemetra:stream:{id}:latest`, `telemetra:stream:{id}:moments`,
/// `telemetra:streams:by_chat_rate` and `telemetra:streams:by_viewers`, with messages of the types `metrics` and `moment`.
///
/// ```
/// let keys = telemetra::livestream::redis_keys();
/// assert_eq!(keys.latest("chat_summary_minute", "s1"), "telemetra:stream:{s1}:latest");
/// assert_eq!(keys.moments("moments", "s1"), "telemetra:stream:{s1}:moments");
/// assert_eq!(keys.rank("streams:by_viewers"), "telemetra:streams:by_viewers");
/// ```
#[must_use]
pub fn redis_keys() -> RedisKeys {
    let windows = RedisTable::latest("chat_summary_minute")
        .key("stream:{}:latest")
        .rank("streams:by_chat_rate", "chat_rate")
        .rank("streams:by_viewers", "avg_viewers")
        .message("metrics")
        .subject_field("stream_id");
    let moments =
        RedisTable::moments("moments").key("stream:{}:moments").message("moment").subject_field("stream_id");
    RedisKeys::default().as_of_key("stream:{}:as_of").table(windows).table(moments)
}
