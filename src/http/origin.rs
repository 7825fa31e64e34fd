//! The origins of pages: compared by scheme, host and port, not as text.

use std::net::Ipv6Addr;

/// The origin of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: Host,
    /// With the scheme's own where none is given.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// A name or an address of IPv4, in lower case.
    Name(String),
    Six(Ipv6Addr),
}

/// The origins (in the sense of CORS) whose web pages may use a service, besides pages from the service itself; for
/// [`Settings`](super::Settings). By default there are none. Origins are compared as URLs are: by scheme, host and
/// port, with the scheme's default port if none is given, and without regard to case.
///
/// ```
/// use telemetra::http::Origins;
/// let mut origins = Origins::default();
/// origins.add("https://example.org")?;
/// assert!(origins.has("HTTPS://Example.org:443") && !origins.has("http://example.org"));
/// assert!(origins.add("example.org").is_err(), "there is no scheme");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Origins {
    pub(super) all: bool,
    known: Vec<Origin>,
}

impl Origins {
    /// Adds an origin, `https://HOST[:PORT]`, or all by `*`.
    ///
    /// # Errors
    ///
    /// If the text is not an origin; the error says what one looks like.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        if text == "*" {
            self.all = true;
            return Ok(());
        }
        let origin = Origin::parse(text.trim_end_matches('/'));
        let hint = "give a scheme, a host as browsers send it, and a port if it is not the scheme's";
        self.known
            .push(origin.ok_or_else(|| format!("`{text}` is no origin, as https://example.org; {hint}"))?);
        Ok(())
    }

    /// Returns whether pages of this origin may use the service.
    #[must_use]
    pub fn has(&self, origin: &str) -> bool {
        self.all || Origin::parse(origin).is_some_and(|origin| self.known.contains(&origin))
    }
}

/// Whether a page of that origin is the service's own, by the host that its request is for.
pub(super) fn is_own(origin: &str, host: &str) -> bool {
    // The service cannot see the scheme that the browser used, as a proxy ends TLS: the page's is taken for
    // it.
    let own = |origin: &Origin| Origin::of(origin.scheme.clone(), host);
    Origin::parse(origin).is_some_and(|origin| own(&origin).is_some_and(|own| own == origin))
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let known = !scheme.is_empty() && scheme.bytes().all(is_scheme);
        known.then(|| Self::of(scheme.to_ascii_lowercase(), authority))?
    }

    fn of(scheme: String, authority: &str) -> Option<Self> {
        let (host, port) = match authority.rsplit_once(':') {
            // A colon within brackets is of the address.
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let host = match host.strip_prefix('[') {
            Some(six) => Host::Six(six.strip_suffix(']')?.parse().ok()?),
            None if !host.is_empty() && host.bytes().all(is_name) => Host::Name(host.to_ascii_lowercase()),
            None => return None,
        };
        let usual = match &*scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = if port.is_empty() { usual } else { Some(port.parse().ok().filter(|_| digits)?) };
        Some(Self { scheme, host, port })
    }
}
