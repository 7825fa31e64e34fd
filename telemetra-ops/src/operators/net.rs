//! The net change of each row at one time.

use std::cmp::Ordering;

use differential_dataflow::consolidation::consolidate;
use telemetra_core::{Action, Data, Layout};

use crate::operators::journal::Entry;

/// The net change of one row at one time.
pub(crate) struct Net<R> {
    /// The previous version of the row, if there was one.
    pub(crate) before: Option<R>,
    /// The new version of the row; the last version if it is removed.
    pub(crate) row: R,
    pub(crate) route: u64,
    pub(crate) action: Action,
}

impl<R: Data> Net<R> {
    /// Returns the change as an entry of the journal, and takes out the previous version.
    pub(crate) fn take_entry(&mut self, revision: u32) -> Entry<R> {
        let after = (self.action == Action::Upsert).then(|| self.row.clone());
        Entry { before: self.before.take(), after, revision }
    }
}

/// Returns the net change of a row whose versions came and went in this order; `None` if they cancel out.
fn net_of<R: Data>(states: &mut Vec<((R, u64), isize)>) -> Option<Net<R>> {
    let mut net: Option<Net<R>> = None;
    for ((row, route), diff) in states.drain(..) {
        let action = if diff > 0 { Action::Upsert } else { Action::Withdraw };
        match &mut net {
            Some(net) if action == Action::Upsert => (net.row, net.action) = (row, action),
            Some(net) => net.before = Some(row),
            None => {
                let before = (action == Action::Withdraw).then(|| row.clone());
                net = Some(Net { before, row, route, action });
            }
        }
    }
    net
}

/// Combines the updates of rows at one time.
#[derive(Debug, Default)]
pub(crate) struct Netting {
    /// Room for the routes of the updates of one time.
    routes: Vec<u64>,
}

/// An update of a row, with the hash of its subject.
type Update<R> = (R, isize, u64);

impl Netting {
    /// Combines the updates of each row to one: its last version, and whether it had one before.
    ///
    /// Most rows are the only one of their subject. These need no more than that, and stay in the order in which
    /// they arrived; sorting rows costs more than all else.
    pub(crate) fn net_changes<R: Data>(
        &mut self,
        layout: &Layout<R>,
        updates: &mut Vec<Update<R>>,
    ) -> Vec<Net<R>> {
        let mut nets = Vec::with_capacity(updates.len());
        let routes = &mut self.routes;
        routes.extend(updates.iter().map(|(.., route)| *route));
        routes.sort_unstable();
        // What stays are the routes of several updates.
        let mut before = None;
        routes.retain(|route| before.replace(*route) == Some(*route));
        let mut several = Vec::new();
        for (row, diff, route) in updates.drain(..) {
            if routes.binary_search(&route).is_ok() {
                several.push((row, diff, route));
                continue;
            }
            match diff.cmp(&0) {
                Ordering::Greater => nets.push(Net { before: None, row, route, action: Action::Upsert }),
                Ordering::Less => {
                    nets.push(Net { before: Some(row.clone()), row, route, action: Action::Withdraw });
                }
                Ordering::Equal => {}
            }
        }
        routes.clear();
        combine(layout, several, &mut nets);
        nets
    }
}

/// Combines updates of which some may be of the same row.
fn combine<R: Data>(layout: &Layout<R>, mut updates: Vec<Update<R>>, nets: &mut Vec<Net<R>>) {
    // Sorting puts the versions of one row side by side. The routes are compared first, as numbers compare faster
    // than keys.
    updates.sort_unstable_by(|(a, _, route_a), (b, _, route_b)| {
        route_a.cmp(route_b).then_with(|| layout.compare(a, b))
    });
    let mut updates = updates.into_iter().peekable();
    let mut states: Vec<((R, u64), isize)> = Vec::new();
    while let Some((row, diff, route)) = updates.next() {
        let is_same = |(other, _, other_route): &Update<R>, row: &R| {
            *other_route == route && layout.compare(row, other).is_eq()
        };
        // Most rows have one version.
        if diff > 0 && updates.peek().is_none_or(|next| !is_same(next, &row)) {
            nets.push(Net { before: None, row, route, action: Action::Upsert });
            continue;
        }
        states.push(((row, route), diff));
        while let Some((other, diff, route)) = updates.next_if(|next| is_same(next, &states[0].0.0)) {
            states.push(((other, route), diff));
        }
        // For equal keys, the order of rows decides, as everywhere.
        consolidate(&mut states);
        nets.extend(net_of(&mut states));
    }
}
