//! The settings of what a run starts from, and of savepoints.

use super::Flag;
use crate::common::parse::boolean;
use crate::common::settings::put;

pub(super) const FLAGS: &[Flag] = &[
    Flag::new(
        "dry-run",
        "",
        "say what a start would take over from the checkpoint, and end [off]",
        |s, v| put(&mut s.start.dry_run, boolean(v)),
    ),
    Flag::new("savepoint", "NAME", "keep the newest checkpoint under this name, and end [off]", |s, v| {
        s.start.savepoint = Some(v.to_owned());
        Ok(())
    }),
    Flag::new("from-savepoint", "NAME", "start from this savepoint [the newest checkpoint]", |s, v| {
        s.start.from_savepoint = Some(v.to_owned());
        Ok(())
    }),
    Flag::new("list-savepoints", "", "list the savepoints, and end [off]", |s, v| {
        put(&mut s.start.lists, boolean(v))
    }),
    Flag::new("remove-savepoint", "NAME", "remove this savepoint, and end [off]", |s, v| {
        s.start.remove = Some(v.to_owned());
        Ok(())
    }),
];
