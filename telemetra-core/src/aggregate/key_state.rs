//! The state of one key's windows in a checkpoint.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Accumulator;
use crate::migration::Migration;
use crate::time::event_time::EventTime;

/// The state of one key in a checkpoint: all of it, or the part that changed since the last checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct KeyState<A: Accumulator> {
    /// The start and the partial of each pane.
    pub panes: Vec<(EventTime, A)>,
    /// The window's end and the value of each summary.
    pub summaries: Vec<(EventTime, Arc<A::Output>)>,
}

impl<A: Accumulator> KeyState<A> {
    /// The migration of what an earlier version of the accumulator has left.
    #[must_use]
    pub fn migration(of: &Migration<A>, output: &Migration<A::Output>) -> Migration<Self> {
        let panes = of.clone().after::<EventTime>().of_list();
        let summaries = output.clone().then(Arc::new).after::<EventTime>().of_list();
        Migration::decoding(move |bytes| {
            Ok(Self { panes: panes.decode(bytes)?, summaries: summaries.decode(bytes)? })
        })
    }
}
