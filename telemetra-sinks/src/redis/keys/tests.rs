//! Names of keys: in one slot where they must be, and no two the same.

use std::collections::BTreeSet;

use super::*;

/// The part of a key that a cluster hashes.
fn hashed(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

fn checked(keys: &RedisKeys) -> Result<(), String> {
    let tables: Vec<_> = keys.tables.iter().map(|table| (table.pattern(1).into_owned(), table)).collect();
    keys.check(&tables)
}

#[test]
fn what_a_script_touches_is_in_one_slot() {
    for prefix in ["telemetra", "", "{app}", "a:{b}:c"] {
        let keys = RedisKeys::new(prefix).table(RedisTable::rows("r").key("r:{}:{key}:x"));
        assert_eq!(checked(&keys), Ok(()));
        for id in ["s1", "", "}", "{}", "a}b{c", "%", "%7D"] {
            let of =
                [keys.latest("w", id), keys.moments("m", id), keys.row("r", id, &[id, "{}"]), keys.as_of(id)];
            assert!(of.iter().all(|key| hashed(key) == hashed(&of[0])), "{of:?}");
        }
        assert_eq!(hashed(&keys.rank("by_x")), hashed(&keys.rank_as_of("by_x")));
    }
    for prefix in ["{", "}", "a}b", "a{}b", "a{b"] {
        assert!(checked(&RedisKeys::new(prefix)).is_err(), "{prefix}");
    }
}

#[test]
fn no_two_subjects_and_no_two_rows_have_one_key() {
    let keys = RedisKeys::default();
    let ids = ["", "%", "%25", "{", "}", "%7B", "%7D", "{}"];
    let all: BTreeSet<_> = ids.iter().map(|id| keys.latest("w", id)).collect();
    assert_eq!(all.len(), ids.len());
    let rows: [&[&str]; 6] =
        [&["a", "b"], &["a/b", ""], &["a%2Fb", ""], &["", "a/b"], &["a", "/b"], &["a/", "b"]];
    let all: BTreeSet<_> = rows.iter().map(|key| keys.row("r", "s", key)).collect();
    assert_eq!(all.len(), rows.len());
}

#[test]
fn patterns_whose_keys_could_be_the_same_are_refused() {
    let with = |tables: Vec<RedisTable>| tables.into_iter().fold(RedisKeys::default(), RedisKeys::table);
    let latest = || RedisTable::latest("w").key("x:{}:a:latest");
    for refused in [
        with(vec![latest(), RedisTable::moments("m").key("x:{}:a:latest")]),
        with(vec![latest(), RedisTable::rows("r").key("x:{}:{key}")]),
        with(vec![latest(), RedisTable::rows("r").key("x:{}:a:{key}latest")]),
        with(vec![RedisTable::rows("q").key("x:{}:{key}:b"), RedisTable::rows("r").key("x:{}:a{key}")]),
        with(vec![latest().key("as_of:{}")]),
        with(vec![latest().key("{}:as_of")]),
        with(vec![latest().key("no subject")]),
        with(vec![latest().key("{other}:{}")]),
        with(vec![latest().key("x:{}:{}")]),
        with(vec![latest().key("x:{}:{key}")]),
        with(vec![RedisTable::rows("r").key("x:{key}:{}")]),
        with(vec![latest().rank("progress", "c")]),
        with(vec![latest().rank("by_c", "c"), RedisTable::latest("v").rank("by_c", "c")]),
        with(vec![latest().rank("{x}", "c")]),
        with(vec![latest().rank("a", "c").rank("a:as_of", "c")]),
        with(vec![latest()]).as_of_key("{}:as_of"),
        with(vec![latest()]).channel("live"),
        with(vec![latest()]).as_of_key("x:{}:a:latest"),
    ] {
        assert!(checked(&refused).is_err(), "{refused:?}");
    }
    for taken in [
        with(vec![latest(), RedisTable::moments("m").key("x:{}:a:moments")]),
        with(vec![latest(), RedisTable::rows("r").key("x:{}:b:{key}")]),
        with(vec![latest(), RedisTable::rows("r").key("y:{}:{key}")]),
        with(vec![RedisTable::rows("q").key("x:{}:{key}:b"), RedisTable::rows("r").key("x:{}:{key}:c")]),
    ] {
        assert_eq!(checked(&taken), Ok(()), "{taken:?}");
    }
}
