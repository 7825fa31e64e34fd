//! The state of a grouping in checkpoints: its name, its version, and the migrations from earlier versions.

use std::collections::BTreeMap;

use telemetra_core::Accumulator;
use telemetra_core::checkpoint::Migration;

use crate::checkpoint::definition::StateVersions;

/// The name and the versions of a grouping's state.
#[derive(Clone, Debug)]
pub(crate) struct GroupState<A: Accumulator> {
    /// The name that checkpoints know it by; `None` for the name of the table.
    pub(crate) name: Option<String>,
    pub(crate) version: u32,
    /// By the version that they are from: the migrations of the accumulator and of its result.
    pub(crate) migrations: BTreeMap<u32, (Migration<A>, Migration<A::Output>)>,
}

impl<A: Accumulator> Default for GroupState<A> {
    fn default() -> Self {
        Self { name: None, version: 0, migrations: BTreeMap::new() }
    }
}

impl<A: Accumulator> GroupState<A> {
    /// The versions of a state that holds accumulators, and results.
    pub(crate) fn of<T>(
        &self,
        within: impl Fn(&Migration<A>, &Migration<A::Output>) -> Migration<T>,
    ) -> StateVersions<T> {
        let migrations = self.migrations.iter();
        let migrations = migrations.map(|(from, (of, output))| (*from, within(of, output)));
        StateVersions { version: self.version, migrations: migrations.collect() }
    }
}
