//! The progress of a folder, as a standby sees it.

use std::time::Duration;

use telemetra_core::{Sink, SinkProgress};
use telemetra_sinks::Parquet;

use crate::common::{batch, readings, tables};

#[test]
fn the_progress_is_read_while_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let new = || Parquet::new(folder.path()).rotate_every(Duration::from_secs(60));
    let seen = || new().progress().unwrap();
    assert_eq!(seen(), SinkProgress::Until(None));
    let mut sink = new();
    sink.open(&tables(), None).unwrap();
    assert_eq!(seen(), SinkProgress::Until(None));
    // In the log, in files, and in the log again; a batch without changes counts too.
    for nth in [0, 1, 7, 8, 20] {
        let changes = if nth == 8 { vec![] } else { vec![readings("a", nth, nth)] };
        let batch = batch(nth, changes);
        sink.apply(std::slice::from_ref(&batch)).unwrap();
        assert_eq!(seen(), SinkProgress::Until(Some(batch.time)));
    }
    let end = seen();
    sink.close().unwrap();
    drop(sink);
    assert_eq!(seen(), end);
    // Looking has changed nothing, and whoever takes over goes on there.
    let SinkProgress::Until(end) = end else { panic!("it is not shared") };
    assert_eq!(new().open(&tables(), None).unwrap(), end);
}
