//! Where images are: `http` URLs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

/// The longest URL that is taken, in bytes.
pub const MAX_URL: usize = 4096;
const SCHEME: &str = "http://";

/// An `http` URL.
///
/// ```
/// use storeboot_fetch::Url;
///
/// let base: Url = "http://boot.example:8080/machine/".parse()?;
/// let image = base.join("images/0.squashfs")?;
/// assert_eq!(image.to_string(), "http://boot.example:8080/machine/images/0.squashfs");
/// assert_eq!(image.redirect("/new/0.squashfs")?.to_string(), "http://boot.example:8080/new/0.squashfs");
/// assert!("https://boot.example/".parse::<Url>().is_err());
/// # Ok::<(), storeboot_fetch::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// In lower case; an IPv6 address without its brackets.
    host: String,
    port: u16,
    /// Path and query; begins with a slash.
    path: String,
}

/// Why a text is not a URL that images can be fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It begins with another scheme than `http`.
    Scheme(String),
    /// It names no host, or one that no name server knows to look for.
    Host(String),
    /// It has a user's name or a password.
    User(String),
    /// The port is not a number from 1 to 65535.
    Port(String),
    /// It has a blank, a control character or one beyond ASCII.
    Character(String),
    /// It is longer than [`MAX_URL`].
    TooLong(usize),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(url) if url.starts_with("https:") => write!(
                f,
                "{url:?} begins with https, and stage 1 has no TLS: give an http:// URL; the hashes in the initrd \
                 protect what is fetched"
            ),
            Self::Scheme(url) => write!(f, "{url:?} does not begin with http://"),
            Self::Host(url) => write!(f, "{url:?} does not name a host"),
            Self::User(url) => {
                write!(f, "{url:?} has a user's name, which stage 1 does not send")
            }
            Self::Port(url) => write!(f, "the port of {url:?} is not a number from 1 to 65535"),
            Self::Character(url) => write!(
                f,
                "{url:?} has a character that no URL has: write it as % and two digits"
            ),
            Self::TooLong(length) => {
                write!(
                    f,
                    "the URL has {length} bytes, at most {MAX_URL} are allowed"
                )
            }
        }
    }
}

impl core::error::Error for UrlError {}

impl core::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        check_text(text)?;
        let is_http = text
            .get(..SCHEME.len())
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
        if !is_http {
            return Err(UrlError::Scheme(text.into()));
        }
        let rest = &text[SCHEME.len()..];
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::User(text.into()));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => inner.split_once(']').map(|(host, port)| {
                (
                    host,
                    port.strip_prefix(':').or(port.is_empty().then_some("")),
                )
            }),
            None => Some(match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            }),
        }
        .ok_or_else(|| UrlError::Host(text.into()))?;
        if !is_host(host, authority.starts_with('[')) {
            return Err(UrlError::Host(text.into()));
        }
        let port = match port {
            Some("") => 80,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| UrlError::Port(text.into()))?,
            _ => return Err(UrlError::Port(text.into())),
        };
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            path: [slash, path].concat(),
        })
    }
}

impl Url {
    /// The host's name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host as a header has it: with its port, unless that is 80.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match self.host.parse() {
            Ok(IpAddr::V6(_)) => format!("[{}]", self.host),
            _ => self.host.clone(),
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }

    /// The URL of a file below this one. A query stays at the end.
    ///
    /// # Errors
    /// Where `path` has a character that a URL has not, or the result is too long.
    pub fn join(&self, path: &str) -> Result<Self, UrlError> {
        let (folder, query) = self.split_query();
        let path = format!("{}/{path}{query}", folder.trim_end_matches('/'));
        check_text(&path)?;
        Ok(Self {
            path,
            ..self.clone()
        })
    }

    /// Where a redirect leads, which may be given relative to this URL (RFC 9110, section 10.2.2).
    ///
    /// # Errors
    /// Where it leads to anything but an `http` URL.
    pub fn redirect(&self, location: &str) -> Result<Self, UrlError> {
        check_text(location)?;
        let has_scheme = location
            .split_once(':')
            .is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '?', '#']));
        if has_scheme {
            return location.parse();
        }
        if let Some(rest) = location.strip_prefix("//") {
            return [SCHEME, rest].concat().parse();
        }
        let (own, _) = self.split_query();
        let path = match location.as_bytes().first() {
            Some(b'/') => location.to_string(),
            Some(b'?') => format!("{own}{location}"),
            None | Some(b'#') => self.path.clone(),
            Some(_) => {
                let folder = own.rfind('/').map_or("/", |slash| &own[..=slash]);
                format!("{folder}{location}")
            }
        };
        check_text(&path)?;
        let path = without_dots(path.split('#').next().unwrap_or_default());
        Ok(Self {
            path,
            ..self.clone()
        })
    }

    fn split_query(&self) -> (&str, &str) {
        self.path
            .split_at(self.path.find('?').unwrap_or(self.path.len()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.authority(), self.path)
    }
}

fn check_text(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong(text.len()));
    }
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(UrlError::Character(text.into())),
    }
}

/// Whether it is an address, or a name as DNS has them: at most 253 bytes.
fn is_host(host: &str, bracketed: bool) -> bool {
    let is_name = |host: &str| {
        let is_of_name =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        (1..=253).contains(&host.len()) && host.bytes().all(is_of_name)
    };
    match bracketed {
        true => matches!(host.parse(), Ok(IpAddr::V6(_))),
        false => is_name(host),
    }
}

/// A path without its segments `.` and `..` (RFC 3986, section 5.2.4); the query stays as it is.
fn without_dots(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // The folder itself is meant: its name ends with a slash.
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Url, UrlError> {
        text.parse()
    }

    #[test]
    fn parts_of_a_url() {
        let url = parse("HTTP://Boot.Example:8080/a/b?c=d#e").unwrap();
        assert_eq!(
            (url.host(), url.port(), url.path()),
            ("boot.example", 8080, "/a/b?c=d")
        );
        assert_eq!(url.authority(), "boot.example:8080");
        let url = parse("http://[fec0::2]").unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("fec0::2", 80, "/"));
        assert_eq!(url.to_string(), "http://[fec0::2]/");
        assert_eq!(
            parse("http://10.0.2.2:80/x").unwrap().to_string(),
            "http://10.0.2.2/x"
        );
        assert_eq!(parse("http://h?q").unwrap().path(), "/?q");
    }

    #[test]
    fn what_is_no_url_is_told_apart() {
        let scheme = |text: &str| UrlError::Scheme(text.into());
        for text in ["https://h/", "ftp://h/", "h/x", "http:/h", ""] {
            assert_eq!(parse(text), Err(scheme(text)));
        }
        for text in [
            "http://",
            "http:///x",
            "http://[::1",
            "http://[h]/",
            "http://a,b/",
            "http://:80/",
        ] {
            assert_eq!(parse(text), Err(UrlError::Host(text.into())), "{text}");
        }
        for text in [
            "http://h:0/",
            "http://h:65536/",
            "http://h:+1/",
            "http://[::1]8/",
            "http://h:1:2/",
        ] {
            assert_eq!(parse(text), Err(UrlError::Port(text.into())), "{text}");
        }
        assert_eq!(
            parse("http://u:p@h/"),
            Err(UrlError::User("http://u:p@h/".into()))
        );
        assert!(matches!(parse("http://h/a b"), Err(UrlError::Character(_))));
        assert!(matches!(
            parse("http://h/\u{f6}"),
            Err(UrlError::Character(_))
        ));
        let long = ["http://h/", &"x".repeat(MAX_URL)].concat();
        assert_eq!(parse(&long), Err(UrlError::TooLong(MAX_URL + 9)));
    }

    #[test]
    fn a_file_below_and_a_redirect() {
        let join = |base: &str| parse(base).unwrap().join("images/0").unwrap().to_string();
        assert_eq!(join("http://h"), "http://h/images/0");
        assert_eq!(join("http://h/a//"), "http://h/a/images/0");
        assert_eq!(join("http://h/a?key=1"), "http://h/a/images/0?key=1");
        let url = parse("http://h:81/a/b?c").unwrap();
        let to = |location: &str| url.redirect(location).unwrap().to_string();
        assert_eq!(to("http://other/x"), "http://other/x");
        assert_eq!(to("//other:82/x#y"), "http://other:82/x");
        assert_eq!(to("/x?y"), "http://h:81/x?y");
        assert_eq!(to("x"), "http://h:81/a/x");
        assert_eq!(to("../x"), "http://h:81/x");
        assert_eq!(to("../../../x/./y/..?../z"), "http://h:81/x/?../z");
        assert_eq!(to("/x/../y"), "http://h:81/y");
        assert_eq!(to("?z"), "http://h:81/a/b?z");
        assert_eq!(to(""), "http://h:81/a/b?c");
        assert!(matches!(
            url.redirect("https://h/x"),
            Err(UrlError::Scheme(_))
        ));
        assert!(matches!(url.redirect("file:x"), Err(UrlError::Scheme(_))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "(http://)?[a-z0-9.:/?#@%\\[\\]-]{0,40}", location in "\\PC{0,40}") {
            if let Ok(url) = parse(&text) {
                prop_assert_eq!(parse(&url.to_string()), Ok(url.clone()));
                if let Ok(there) = url.redirect(&location) {
                    prop_assert_eq!(parse(&there.to_string()), Ok(there));
                }
                let _ = url.join(&location);
            }
        }
    }
}
