//! A guess at the format of bytes that a decoder could not read, for the reader of an error.

/// The likely format of a record that is not of the expected format, and a remedy; `None` if there is no
/// guess.
#[must_use]
pub fn format_of(record: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 12] = [
        (&[0x1f, 0x8b], "it looks like gzip; decompress it"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "it looks like zstd; decompress it"),
        (b"BZh", "it looks like bzip2; decompress it"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "it looks like xz; decompress it"),
        (b"PK\x03\x04", "it looks like a zip archive; unpack it"),
        (b"PAR1", "it looks like Parquet; convert it to lines"),
        (b"Obj\x01", "it looks like a file of Avro; convert it to lines"),
        (b"SQLite format 3", "it looks like an SQLite database; export its rows as lines"),
        (&[0xff, 0xfe], "it looks like UTF-16; convert it to UTF-8"),
        (&[0xfe, 0xff], "it looks like UTF-16; convert it to UTF-8"),
        (b"<", "it looks like XML or HTML; convert it to lines"),
        (b"%PDF", "it looks like PDF"),
    ];
    let first = MAGIC.iter().find(|(magic, _)| record.starts_with(magic));
    if let Some((_, what)) = first {
        return Some(what);
    }
    let text = record.strip_prefix("\u{feff}".as_bytes()).unwrap_or(record).trim_ascii();
    match text {
        [b'['] | [b'[', b'{', ..] => {
            return Some(
                "it looks like one JSON array; read it by `Lines::json_array`, or write each element as a line",
            );
        }
        [b'{'] => return Some("it looks like JSON over several lines; write each value as one line"),
        [b'{', .., b'}'] => return Some("it is a JSON object; see the reason for what is wrong with it"),
        [b'{', ..] => return Some("it looks like JSON that is cut off"),
        _ => {}
    }
    if text.contains(&0) || std::str::from_utf8(text).is_err() {
        return Some("it is no text in UTF-8");
    }
    let count = |b: u8| text.iter().filter(|c| **c == b).count();
    [(b',', "it looks like CSV"), (b';', "it looks like CSV"), (b'\t', "it looks like tab-separated values")]
        .into_iter()
        .find(|(b, _)| count(*b) >= 2)
        .map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::format_of;

    #[test]
    fn usual_mistakes_are_recognised() {
        for (record, expected) in [
            (&b"\x1f\x8b\x08\0"[..], "gzip"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"[{\"a\":1},", "JSON array"),
            (b"[", "JSON array"),
            (b"{", "several lines"),
            (b"{\"a\":", "cut off"),
            (b"{\"a\":1}", "JSON object"),
            (b"event_id,timestamp,stream", "CSV"),
            (b"a\tb\tc", "tab-separated"),
            (b"\x00\x01", "no text"),
            (b"<html>", "HTML"),
        ] {
            let found = format_of(record).unwrap_or_default();
            assert!(found.contains(expected), "{record:?} is said to be: {found}");
        }
        assert_eq!(format_of(b"hello"), None);
        assert_eq!(format_of(b""), None);
    }
}
