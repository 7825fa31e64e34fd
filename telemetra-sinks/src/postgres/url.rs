//! Parses connection strings: the TLS parameters, which the client does not know, are taken out, and the
//! client gets the rest.

use std::path::PathBuf;

use telemetra_core::ConfigError;
use tokio_postgres::Config;

use super::tls::{Tls, TlsMode};

/// Parses a connection string to the client's settings and those of TLS.
pub(super) fn parse(text: &str) -> Result<(Config, Tls), ConfigError> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let (rest, ours) = if is_url { split_url(text)? } else { split_words(text)? };
    let tls = tls(ours)?;
    // The client's own errors may quote parts of a password.
    let config: Config = rest.parse().map_err(|_| unreadable())?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(ConfigError::new("postgres", "the connection string names no host", "add one"));
    }
    Ok((config, tls))
}

fn unreadable() -> ConfigError {
    ConfigError::new(
        "postgres",
        "the connection string cannot be read",
        "write `postgres://user:password@host:port/database?sslmode=…`, with what is special in user and \
         password percent-encoded, and only parameters that `PostgresConfig::from_url` lists",
    )
}

/// Returns whether a parameter concerns TLS, which the client does not know.
fn is_ours(name: &str) -> bool {
    matches!(name, "sslmode" | "sslrootcert" | "sslcert" | "sslkey")
}

type Pairs = Vec<(String, String)>;

/// Splits a URL into the part for the client and the TLS parameters.
fn split_url(text: &str) -> Result<(String, Pairs), ConfigError> {
    let Some((before, query)) = text.split_once('?') else { return Ok((text.to_owned(), Pairs::new())) };
    let (mut ours, mut theirs) = (Pairs::new(), Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((name, value)) if is_ours(name) => {
                ours.push((name.to_owned(), decoded(value).ok_or_else(unreadable)?));
            }
            Some(_) => theirs.push(pair),
            // The client ignores it, and it may be the rest of a password that was not encoded.
            None if !pair.is_empty() => return Err(unreadable()),
            None => {}
        }
    }
    let mark = if theirs.is_empty() { "" } else { "?" };
    Ok((format!("{before}{mark}{}", theirs.join("&")), ours))
}

/// Decodes percent signs: `%41` is `A`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Splits words of the form `name = value`. Values with blanks are quoted, and a backslash escapes the next
/// character.
fn split_words(text: &str) -> Result<(String, Pairs), ConfigError> {
    let (mut ours, mut theirs) = (Pairs::new(), String::new());
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok((theirs, ours));
        }
        let (mut raw, mut name, mut value) = (String::new(), String::new(), String::new());
        loop {
            match chars.next() {
                Some('=') => break,
                Some(c) => name.push(c),
                None => return Err(unreadable()),
            }
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        loop {
            match chars.next() {
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some('\\') => {
                    let c = chars.next().ok_or_else(unreadable)?;
                    raw.extend(['\\', c]);
                    value.push(c);
                }
                Some(c) => {
                    raw.push(c);
                    value.push(c);
                }
                None if quoted => return Err(unreadable()),
                None => break,
            }
        }
        let name = name.trim();
        if is_ours(name) {
            ours.push((name.to_owned(), value));
        } else {
            theirs.push_str(&format!("{name}='{raw}' "));
        }
    }
}

fn tls(pairs: Pairs) -> Result<Tls, ConfigError> {
    let mut tls = Tls::default();
    let (mut mode, mut certificates, mut key) = (None, None, None);
    for (name, value) in pairs {
        match &*name {
            "sslmode" => mode = Some(tls_mode(&value)?),
            // As in libpq: the system's roots, and then the host name is checked too.
            "sslrootcert" if value == "system" => mode = mode.or(Some(TlsMode::VerifyFull)),
            "sslrootcert" => tls.roots = Some(PathBuf::from(value)),
            "sslcert" => certificates = Some(PathBuf::from(value)),
            _ => key = Some(PathBuf::from(value)),
        }
    }
    tls.mode = mode.unwrap_or_default();
    tls.client = match (certificates, key) {
        (Some(certificates), Some(key)) => Some((certificates, key)),
        (None, None) => None,
        (Some(_), None) => return Err(ConfigError::new("sslcert", "there is no `sslkey` for it", "add it")),
        (None, Some(_)) => return Err(ConfigError::new("sslkey", "there is no `sslcert` for it", "add it")),
    };
    Ok(tls)
}

fn tls_mode(value: &str) -> Result<TlsMode, ConfigError> {
    Ok(match value {
        "disable" => TlsMode::Disable,
        "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => {
            return Err(ConfigError::new(
                "sslmode",
                format!("`{value}` is not a mode of libpq that is supported"),
                "use `disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_of_encryption_are_ours_and_the_rest_is_the_clients() {
        let url = "postgresql://u:p%40ss@h1:1,h2:2/db?sslmode=verify-ca&connect_timeout=3\
             &sslrootcert=%2Fa%20b.pem";
        let words = "host=h1,h2 port=1,2 user = u password='p@ss' dbname=db sslmode=verify-ca \
                     connect_timeout=3 sslrootcert='/a b.pem'";
        for text in [url, words] {
            let (config, tls) = parse(text).unwrap();
            assert_eq!(config.get_password(), Some(&b"p@ss"[..]));
            assert_eq!(config.get_ports(), [1, 2]);
            assert_eq!(config.get_dbname(), Some("db"));
            assert_eq!(config.get_connect_timeout().unwrap().as_secs(), 3);
            assert_eq!((tls.mode, tls.roots), (TlsMode::VerifyCa, Some("/a b.pem".into())));
        }
        let (config, _) = parse(r"host=h password='it\'s a \\ secret'").unwrap();
        assert_eq!(config.get_password(), Some(&b"it's a \\ secret"[..]));
        let (_, tls) = parse("postgres://h?sslcert=c&sslkey=k&sslrootcert=system").unwrap();
        assert_eq!((tls.mode, tls.client), (TlsMode::VerifyFull, Some(("c".into(), "k".into()))));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_quoting_it() {
        for text in [
            "postgres://u:se?cret@h/db",
            "postgres://u:secret@h:port/db",
            "postgres://u:secret@h/db?secret=1",
            "host=h password='secret",
            "host=h secret",
            "user=u password=secret",
            "postgres://u:secret@h?sslcert=x",
            "postgres://u:secret@h?sslmode=allow",
            "postgres://u:secret@h?sslrootcert=%zz",
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is read")).to_string();
            assert!(!error.contains("cret"), "{error}");
        }
    }
}
