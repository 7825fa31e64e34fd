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
    /// Sorting rows costs more than all else, and most need not be sorted: those that are the only one of their
    /// subject, and those that come as one run of new rows in order, as after a restart. They stay in the order in
    /// which they arrived.
    pub(crate) fn net_changes<R: Data>(
        &mut self,
        layout: &Layout<R>,
        updates: &mut Vec<Update<R>>,
    ) -> Vec<Net<R>> {
        let mut nets = Vec::with_capacity(updates.len());
        let routes = &mut self.routes;
        routes.extend(updates.chunk_by(|a, b| a.2 == b.2).map(|run| run[0].2));
        routes.sort_unstable();
        // What stays are the routes of several runs.
        let mut before = None;
        routes.retain(|route| before.replace(*route) == Some(*route));
        let (mut run, mut several) = (Vec::new(), Vec::new());
        let mut updates = updates.drain(..).peekable();
        while let Some(update) = updates.next() {
            let route = update.2;
            run.push(update);
            if updates.peek().is_some_and(|next| next.2 == route) {
                continue;
            }
            let is_sorted = |run: &[Update<R>]| run.is_sorted_by(|a, b| layout.compare(&a.0, &b.0).is_lt());
            let is_plain = run.len() == 1 || run.iter().all(|(_, diff, _)| *diff > 0) && is_sorted(&run);
            if is_plain && routes.binary_search(&route).is_err() {
                nets.extend(run.drain(..).filter_map(net_of_one));
            } else {
                several.append(&mut run);
            }
        }
        drop(updates);
        routes.clear();
        combine(layout, several, &mut nets);
        nets
    }
}

/// Returns the net change of a row that has one update.
fn net_of_one<R: Data>((row, diff, route): Update<R>) -> Option<Net<R>> {
    match diff.cmp(&0) {
        Ordering::Greater => Some(Net { before: None, row, route, action: Action::Upsert }),
        Ordering::Less => Some(Net { before: Some(row.clone()), row, route, action: Action::Withdraw }),
        Ordering::Equal => None,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use telemetra_core::{Column, ColumnKind, Table, Value};

    use super::*;

    /// A subject, the number of its row, and the version of the row.
    type Row = (u64, u64, u64);

    fn layout() -> Layout<Row> {
        let table = Table::new("rows")
            .key(Column::new("subject", ColumnKind::Integer))
            .key(Column::new("number", ColumnKind::Integer))
            .column(Column::new("version", ColumnKind::Integer));
        Layout::new(table, |(subject, number, version): &Row, put| {
            [subject, number, version].into_iter().for_each(|value| put(Value::Unsigned(*value)));
        })
    }

    type Combined = Vec<(Row, Option<Row>, u64, bool)>;

    fn sorted(nets: Vec<Net<Row>>) -> Combined {
        let of = |net: Net<Row>| (net.row, net.before, net.route, net.action == Action::Upsert);
        let mut nets: Vec<_> = nets.into_iter().map(of).collect();
        nets.sort_unstable();
        nets
    }

    /// Runs of one subject each: new rows in order, or anything.
    fn updates() -> impl Strategy<Value = Vec<Update<Row>>> {
        let in_order = (0..4_u64, 0..9_u64, 1..6_u64).prop_map(|(subject, from, rows)| {
            (from..from + rows).map(|number| ((subject, number, 0), 1, subject)).collect::<Vec<_>>()
        });
        let any = (0..4_u64, prop::collection::vec((0..4_u64, 0..3_u64, -1..2_isize), 1..6));
        let any = any.prop_map(|(subject, rows)| {
            let row = |(number, version, diff)| ((subject, number, version), diff, subject);
            rows.into_iter().map(row).collect::<Vec<_>>()
        });
        prop::collection::vec(prop_oneof![in_order, any], 0..5).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn rows_that_come_in_order_are_combined_as_if_all_were_sorted(updates in updates()) {
            let mut expected = Vec::new();
            combine(&layout(), updates.clone(), &mut expected);
            let found = Netting::default().net_changes(&layout(), &mut updates.clone());
            prop_assert_eq!(sorted(found), sorted(expected));
        }
    }

    #[test]
    fn new_rows_in_order_stay_in_it_and_all_else_is_sorted() {
        let new = |subject, number| ((subject, number, 0), 1, subject);
        let mut updates = vec![new(9, 1), new(9, 2), new(3, 2), new(3, 1), new(5, 4), new(7, 1), new(5, 3)];
        let nets = Netting::default().net_changes(&layout(), &mut updates);
        let rows: Vec<_> = nets.iter().map(|net| (net.row.0, net.row.1)).collect();
        assert_eq!(rows, [(9, 1), (9, 2), (7, 1), (3, 1), (3, 2), (5, 3), (5, 4)]);
        assert!(updates.is_empty());
    }
}
