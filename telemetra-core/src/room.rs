//! Room in queues of which there is one for each key.

use std::collections::VecDeque;

/// A queue grows by at least so many bytes: allocating anew each time costs more than a cache line.
const LEAST: usize = 64;

/// Makes room for `more` values. The queue grows by an eighth instead of doubling, since with many keys the
/// room that nobody uses is much of the memory.
pub(crate) fn grow<T>(queue: &mut VecDeque<T>, more: usize) {
    if queue.capacity() - queue.len() < more {
        let least = LEAST / size_of::<T>().max(1);
        queue.reserve_exact(more.max(least).max(queue.len() / 8));
    }
}

/// Gives room back after a burst.
pub(crate) fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > 2 * queue.len() + 8 {
        queue.shrink_to(queue.len() + queue.len() / 8);
    }
}
