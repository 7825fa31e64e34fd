//! The places where sinks are opened, and sinks that another pipeline writes to.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{EventTime, Shard, SinkProgress};

use crate::deliver::placement::{OpenSinks, SinkPlan, SinkStart, open};
use crate::deliver::scripted::{Call, Script, slow};
use crate::support::failure::Failure;
use crate::support::retry::RetryDeadline;

/// Opens sinks in a process of two, of two workers each.
fn opened(plans: Vec<SinkPlan>, process: usize, stands_by: bool) -> OpenSinks {
    let (failure, changed, slow) = (Failure::default(), Arc::default(), slow());
    let deadline = RetryDeadline::new(Duration::ZERO, &failure);
    let resume = Some(EventTime(7));
    let start = SinkStart { tables: &[], resume, changed: &changed, stands_by, slow: &slow };
    open(plans, &"pipeline".into(), (process, 2, 2), &start, &deadline, &failure).expect("they can be opened")
}

#[test]
fn each_process_opens_its_shards_and_numbers_sinks_of_one_name() {
    let script = Script::default();
    let plans = |script: &Script| {
        let (one, other, parts) = (script.sink(), script.sink(), script.clone());
        vec![
            SinkPlan::whole(Box::new(one)),
            SinkPlan::whole(Box::new(other)),
            SinkPlan::sharded(4, move |_| parts.sink()),
        ]
    };
    script.lock().durable = Some(EventTime(9));
    let first = opened(plans(&script), 0, false);
    let labels =
        first.handles.iter().map(|handle| handle.gauge.labels.each_ref().map(|label| label.to_string()));
    let expected =
        [["pipeline", "scripted", "0"], ["pipeline", "scripted 2", "0"], ["pipeline", "scripted 3", "2"]];
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    assert_eq!(first.handles[2].shard, Shard { index: 2, of: 4 });
    let retried = format!("{:?}", first.handles[2].gauge.retry);
    assert!(retried.contains("the sink `scripted, shard 2 of 4`"), "{retried}");
    assert!(format!("{:?}", first.handles[0].gauge.retry).contains("the sink `scripted`"));
    assert_eq!(first.handles[0].gauge.durable(), EventTime(9));
    let part = || Call::Part("pipeline".to_owned());
    let calls = script.calls();
    assert_eq!(calls[..2], [part(), Call::Open(Some(EventTime(7)))]);
    assert_eq!(calls.len(), 6);
    let second = opened(plans(&script), 1, false);
    let homes = |open: &OpenSinks| -> Vec<Vec<(usize, usize)>> {
        let of = |shards: &[crate::deliver::to_sinks::OpenShard]| {
            shards.iter().map(|shard| (shard.index, shard.home)).collect()
        };
        open.placements.iter().map(|placement| of(&placement.shards)).collect()
    };
    assert_eq!(homes(&first), [vec![(0, 0)], vec![(0, 1)], vec![(2, 0)]]);
    assert_eq!(homes(&second), [vec![], vec![], vec![(0, 2), (1, 3), (3, 2)]]);
    assert_eq!((first.threads.len(), second.threads.len()), (3, 3));
}

#[test]
fn a_sink_that_another_pipeline_writes_to_is_not_opened_or_holds_what_it_gets() {
    let (watched, held) = (Script::default(), Script::default());
    watched.progresses(SinkProgress::Until(Some(EventTime(10))));
    held.progresses(SinkProgress::Rewritten(Some(EventTime(12))));
    let plans = vec![SinkPlan::whole(Box::new(watched.sink())), SinkPlan::whole(Box::new(held.sink()))];
    let open = opened(plans, 0, true);
    let gauges: Vec<_> = open.handles.iter().map(|handle| &handle.gauge.standby).collect();
    let state =
        |gauge: &crate::deliver::standby::StandbyGauge| (gauge.stands_by(), gauge.holds(), gauge.other().0);
    assert_eq!((state(gauges[0]), state(gauges[1])), ((true, false, 10), (true, true, 12)));
    let part = Call::Part("pipeline".to_owned());
    assert_eq!(watched.calls(), std::slice::from_ref(&part));
    assert_eq!(held.calls(), [part, Call::Hold(true), Call::Open(Some(EventTime(7)))]);
}
