//! Timely's exchange rule, for state that is assigned to workers without a message.

/// Returns whether what has that hash falls to this worker.
pub(crate) fn is_mine(hash: u64, worker: usize, peers: usize) -> bool {
    let target = if peers.is_power_of_two() { hash & (peers as u64 - 1) } else { hash % peers as u64 };
    target == worker as u64
}
