//! The names of the fields that events may have.

/// Defines the fields, and finds a field by its name: first by the name's length, which leaves one to four to
/// compare.
macro_rules! fields {
    ($($len:literal: { $($field:ident = $name:literal),+ })+) => {
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub(super) enum Field { $($($field),+),+ }

        impl Field {
            /// The number of fields.
            pub(super) const COUNT: usize = [$($(Self::$field),+),+].len();

            /// The name of the field in JSON.
            pub(super) const fn name(self) -> &'static str {
                match self { $($(Self::$field => $name),+),+ }
            }

            /// The field with that name.
            #[inline]
            pub(super) fn of(name: &str) -> Option<Self> {
                match name.len() {
                    $($len => match name { $($name => Some(Self::$field),)+ _ => None },)+
                    _ => None,
                }
            }
        }

        $($(const _: () = assert!($name.len() == $len);)+)+
    };
}

fields! {
    5: { Topic = "topic" }
    6: { Emotes = "emotes", Badges = "badges", Amount = "amount" }
    7: { UserId = "user_id", Message = "message" }
    8: { EventId = "event_id", Username = "username", Currency = "currency", EndedAt = "ended_at" }
    9: { Timestamp = "timestamp", StreamId = "stream_id", NewTitle = "new_title" }
    10: { EventType = "event_type", StartedAt = "started_at" }
    12: {
        IsModerator = "is_moderator", ViewerCount = "viewer_count", PeakViewers = "peak_viewers",
        NewCategory = "new_category"
    }
    13: { IsSubscriber = "is_subscriber" }
    14: { UniqueViewers = "unique_viewers" }
    16: { TransactionType = "transaction_type", DurationMinutes = "duration_minutes" }
}
