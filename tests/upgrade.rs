//! A pipeline that was changed between two runs goes on from the checkpoint of the first: its tables equal those of a run
//! that had the new definition from the checkpoint on, or that never changed where nothing did.
#![allow(unreachable_pub, reason = "modules of a test share what is in them")]
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

#[path = "upgrade/blue_green.rs"]
mod blue_green;
#[path = "upgrade/drained.rs"]
mod drained;
#[path = "upgrade/kept.rs"]
mod kept;
#[path = "upgrade/lives.rs"]
mod lives;
#[path = "upgrade/rules.rs"]
mod rules;
#[path = "upgrade/savepoints.rs"]
mod savepoints;
#[path = "upgrade/servers.rs"]
mod servers;
#[path = "support/services.rs"]
mod services;
#[path = "upgrade/versions.rs"]
mod versions;
