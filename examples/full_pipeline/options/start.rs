//! The settings of what a run starts from, and of savepoints.

use super::Flag;
use crate::common::parse::{boolean, text};
use crate::common::settings::put;
use crate::settings::Store;
use crate::standby::TakeOver;

pub(super) const FLAGS: &[Flag] = &[
    Flag::new(
        "dry-run",
        "",
        "say what a start would take over from the checkpoint, and end [off]",
        |s, v| put(&mut s.start.dry_run, boolean(v)),
    ),
    Flag::new("savepoint", "NAME", "keep the newest checkpoint under this name, and end [off]", |s, v| {
        put(&mut s.start.savepoint, text(v).map(Some))
    }),
    Flag::new("from-savepoint", "NAME", "start from this savepoint [the newest checkpoint]", |s, v| {
        put(&mut s.start.from_savepoint, text(v).map(Some))
    }),
    Flag::new(
        "savepoint-in",
        "DIR|URL|postgres|postgres:NAME",
        "the other process's --checkpoint, where the savepoint to start from is [--checkpoint]",
        |s, v| put(&mut s.start.savepoint_in, Store::parse(v).map(Some)),
    ),
    Flag::new(
        "standby",
        "now|signal",
        "run beside the process that writes to the sinks, and take over from it once this one has caught up: at once, or \
         when it is told to by SIGUSR1 [off]",
        |s, v| put(&mut s.start.standby, TakeOver::parse(v).map(Some)),
    ),
    Flag::new("list-savepoints", "", "list the savepoints, and end [off]", |s, v| {
        put(&mut s.start.lists, boolean(v))
    }),
    Flag::new("remove-savepoint", "NAME", "remove this savepoint, and end [off]", |s, v| {
        put(&mut s.start.remove, text(v).map(Some))
    }),
];
