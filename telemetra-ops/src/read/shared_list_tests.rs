//! The list of partitions, one call after the other; `tests/model.rs` checks its interleavings.

use telemetra_core::EventTime;

use crate::read::shared_list::SharedList;

/// The floor that what is added now may not lie before; `None` if nothing can be added.
fn least(list: &SharedList<u64>) -> Option<EventTime> {
    let mut least = None;
    let added = list.add(|floor| {
        least = Some(floor);
        99
    });
    assert_eq!(added, least.is_some());
    least
}

#[test]
fn a_partition_that_is_added_has_no_floor_before_the_last_one() {
    let list = SharedList::new(vec![30, 20], EventTime(5));
    assert_eq!(least(&list), Some(EventTime(5)));
    assert_eq!(list.floor(|floor| EventTime(*floor)), EventTime(20));
    assert_eq!(least(&list), Some(EventTime(20)));
    list.give_up(EventTime(50));
    list.give_up(EventTime(40));
    assert_eq!(least(&list), Some(EventTime(50)), "it does not go back");
    assert_eq!(*list.read(), [30, 20, 99, 99, 99]);
}

#[test]
fn nothing_is_added_when_all_have_ended() {
    let list = SharedList::new(vec![1], EventTime::MIN);
    assert_eq!(list.floor(|_| EventTime::MAX), EventTime::MAX);
    assert_eq!(least(&list), None);
    assert_eq!(*list.read(), [1]);
    let empty = SharedList::new(Vec::new(), EventTime::MIN);
    assert_eq!(empty.floor(|floor| EventTime(*floor)), EventTime::MAX);
    assert_eq!(least(&empty), None);
}

#[test]
fn a_copy_is_brought_up_to_date_with_what_was_added() {
    let list = SharedList::new(vec![1, 2], EventTime::MIN);
    let mut known = Vec::new();
    list.refresh(&mut known);
    assert_eq!(known, [1, 2]);
    assert!(list.add(|_| 3));
    known[0] = 7;
    list.refresh(&mut known);
    assert_eq!(known, [7, 2, 3], "what it has is let be");
    list.refresh(&mut known);
    assert_eq!(known, [7, 2, 3]);
}
