//! A line of an access log: the event, and its decoder.

use telemetra::core::{Arena, DecodeError, parse_timestamp};
use telemetra::prelude::*;

/// A request that a web server answered. Texts are as in the log: escapes such as `\"` are kept.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Access<'a> {
    /// The virtual host; `-` if the log does not contain it.
    pub(crate) site: &'a str,
    /// The address or name of the client.
    pub(crate) visitor: &'a str,
    pub(crate) time: EventTime,
    /// The path without the query. A line that is no HTTP request is kept whole.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    /// The duration of the request, which most servers log only if configured to.
    pub(crate) millis: Option<f64>,
}

impl Event for Access<'_> {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        self.site
    }
}

/// The family of [`Access`] with any lifetime: the event type of the pipeline.
pub(crate) struct Accesses;

impl Events for Accesses {
    type Key = String;
    type Of<'a> = Access<'a>;
}

/// Decodes the combined log format, and common extensions of it:
///
/// ```text
/// [SITE[:PORT]] CLIENT IDENT USER [TIME] "REQUEST" STATUS BYTES ["REFERER" "AGENT"] [DURATION]
/// ```
///
/// A duration with a decimal point is in seconds, as nginx's `$request_time`; a whole number is in
/// microseconds, as Apache's `%D`.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct AccessLog;

impl Decoder<Accesses> for AccessLog {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        _: &'a Arena,
        events: &mut Vec<Access<'a>>,
    ) -> Result<(), DecodeError> {
        let text = std::str::from_utf8(record.value).map_err(|_| DecodeError::new("is not UTF-8"))?;
        events.push(access(text)?);
        Ok(())
    }
}

fn access(text: &str) -> Result<Access<'_>, DecodeError> {
    let (who, rest) = text.split_once(" [").ok_or(DecodeError::new("has no time in brackets"))?;
    let (at, rest) = rest.split_once("] ").ok_or(DecodeError::new("has no time in brackets"))?;
    let mut words = who.split(' ');
    let (site, visitor) = match std::array::from_fn(|_| words.next()) {
        [Some(visitor), Some(_), Some(_), None, None] => ("-", visitor),
        // The virtual host may come before the client: `vhost_combined` of Debian's Apache.
        [Some(site), Some(visitor), Some(_), Some(_), None] => {
            (site.rsplit_once(':').map_or(site, |(name, _port)| name), visitor)
        }
        _ => {
            return Err(DecodeError::new(
                "does not begin with `client ident user`, or `site client ident user`",
            ));
        }
    };
    if site.is_empty() || visitor.is_empty() {
        return Err(DecodeError::field("client", "is empty"));
    }
    let (request, rest) = quoted(rest).ok_or(DecodeError::field("request", "is not in quotes"))?;
    let (status, rest) = word(rest);
    let (bytes, mut rest) = word(rest);
    for name in ["referer", "agent"] {
        if rest.starts_with('"') {
            (_, rest) = quoted(rest).ok_or(DecodeError::field(name, "is not in quotes"))?;
        }
    }
    let (duration, rest) = word(rest);
    if !rest.is_empty() {
        return Err(DecodeError::new("goes on after the duration"));
    }
    Ok(Access {
        site,
        visitor,
        time: time(at)?,
        path: path(request),
        status: self::status(status).ok_or(DecodeError::field("status", "is not from 100 to 599"))?,
        bytes: match bytes {
            "-" => 0,
            bytes => bytes.parse().map_err(|_| DecodeError::field("bytes", "is not a number"))?,
        },
        millis: millis(duration)?,
    })
}

/// The text up to the next space, and the text after it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// A text in quotes, in which `\` escapes, and the text after it and a space.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let rest = &text[end + 1..];
    Some((&text[..end], rest.strip_prefix(' ').unwrap_or(rest)))
}

/// The path of `GET /path?query HTTP/1.1`.
fn path(request: &str) -> &str {
    let mut words = request.split(' ');
    match std::array::from_fn(|_| words.next()) {
        [Some(_method), Some(target), Some(protocol), None] if protocol.starts_with("HTTP/") => {
            target.split(['?', '#']).next().unwrap_or(target)
        }
        // Servers also log half a request, or bytes of another protocol, mostly with status 400.
        _ => request,
    }
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| text.len() == 3 && (100..600).contains(status))
}

fn millis(text: &str) -> Result<Option<f64>, DecodeError> {
    if matches!(text, "" | "-") {
        return Ok(None);
    }
    // `parse` alone would accept `inf`, `1e9` and a sign.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.parse::<f64>().ok().filter(|number| plain && number.is_finite());
    let unit = if text.contains('.') { 1_000.0 } else { 0.001 };
    match number {
        Some(number) => Ok(Some(number * unit)),
        None => {
            Err(DecodeError::field("duration", "is neither seconds as `0.023` nor microseconds as `23000`"))
        }
    }
}

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Parses a time such as `10/Oct/2000:13:55:36 -0700`: it is rearranged into RFC 3339, which the library
/// parses and checks.
fn time(text: &str) -> Result<EventTime, DecodeError> {
    const SHAPE: DecodeError =
        DecodeError::field("time", "is not a time such as `10/Oct/2000:13:55:36 -0700`");
    let &[d, e, b'/', m, n, o, b'/', a, b, y, z, b':', ref clock @ .., b' ', sign, h, i, j, k] =
        text.as_bytes()
    else {
        return Err(SHAPE);
    };
    let (Ok(clock), Some(month)) =
        (<[u8; 8]>::try_from(clock), MONTHS.iter().position(|month| **month == [m, n, o]))
    else {
        return Err(SHAPE);
    };
    let month = [b'0' + (month as u8 + 1) / 10, b'0' + (month as u8 + 1) % 10];
    let mut rfc3339 = *b"0000-00-00T00:00:00+00:00";
    rfc3339[..4].copy_from_slice(&[a, b, y, z]);
    rfc3339[5..7].copy_from_slice(&month);
    rfc3339[8..10].copy_from_slice(&[d, e]);
    rfc3339[11..19].copy_from_slice(&clock);
    rfc3339[19..].copy_from_slice(&[sign, h, i, b':', j, k]);
    parse_timestamp(&rfc3339).map_err(|error| DecodeError::field("time", error.0))
}

#[cfg(test)]
mod tests {
    use telemetra::core::testkit::{decoder_compliance, event_compliance};

    use super::*;

    const FULL: &str = r#"shop.example:443 ::1 - ada [10/Oct/2000:13:55:36 -0700] "GET /a/b?c=d HTTP/1.0" 200 2326 "https://x.example/" "Mozilla/5.0 (\"x\")" 0.023"#;

    #[test]
    fn lines_of_all_forms_are_read() {
        let full = Access {
            site: "shop.example",
            visitor: "::1",
            time: EventTime(971_211_336_000),
            path: "/a/b",
            status: 200,
            bytes: 2326,
            millis: Some(23.0),
        };
        assert_eq!(access(FULL), Ok(full));
        // Apache's duration; the plain combined format; the common format, which is shorter; no HTTP at all.
        let micros = FULL.replace("0.023", "23000");
        assert_eq!(access(&micros), Ok(full));
        let combined = FULL.replace("shop.example:443 ", "").replace(" 0.023", "");
        assert_eq!(access(&combined), Ok(Access { site: "-", millis: None, ..full }));
        let common = r#"::1 - - [10/Oct/2000:20:55:36 +0000] "GET /a/b HTTP/2.0" 304 -"#;
        let expected = Access { site: "-", status: 304, bytes: 0, millis: None, ..full };
        assert_eq!(access(common), Ok(expected));
        let noise = r#"::1 - - [10/Oct/2000:20:55:36 +0000] "\x16\x03\x01" 400 157 "-" "-" 0.000"#;
        assert_eq!(
            access(noise).map(|access| (access.path, access.millis)),
            Ok((r"\x16\x03\x01", Some(0.0)))
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (from, to, reason) in [
            ("[10/", "10/", "has no time in brackets"),
            ("Oct", "Okt", "`time`: is not a time such as"),
            ("10/Oct", "32/Oct", "`time`: names a day that does not exist"),
            (" - ada", " ada", ""),
            (" 200 ", " 2000 ", "`status`: is not from 100 to 599"),
            (" 2326 ", " many ", "`bytes`: is not a number"),
            ("0.023", "inf", "`duration`: is neither seconds"),
            ("0.023", "0.023 more", "goes on after the duration"),
            (r#"\"x\")" 0.023"#, "", "`agent`: is not in quotes"),
        ] {
            let line = FULL.replace(from, to);
            match access(&line) {
                Err(error) => assert!(error.to_string().contains(reason), "{error} of {line}"),
                Ok(access) => assert_eq!((reason, access.site), ("", "-"), "{line}"),
            }
        }
    }

    #[test]
    fn the_contracts_are_kept() {
        let common = br#"::1 - - [10/Oct/2000:20:55:36 +0000] "GET / HTTP/2.0" 304 -"#;
        decoder_compliance::<Accesses>(
            &AccessLog,
            &[FULL.as_bytes(), common],
            &[b"", b"\xff", b"a - - [x] \"\""],
        );
        event_compliance(
            &[access(FULL), access(&FULL.replace("shop", "café"))].map(|line| line.expect("a line")),
        );
    }
}
