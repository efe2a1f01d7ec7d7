//! The head of a request, as it comes from a connection.

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};

/// A longer head is refused.
pub(super) const MAX: usize = 16 << 10;
/// More headers are refused.
const MAX_HEADERS: usize = 64;

/// A request whose head has come.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<Body>,
    /// The bytes that it takes.
    pub(super) length: usize,
    /// Whether the client wants to ask more on this connection.
    pub(super) is_kept: bool,
}

/// Parses the head at the start of what has come. `None`: there is more to come. An error is the status to answer with,
/// before the connection is closed: nobody knows where the next request would begin.
///
/// A request that has a body is refused: nothing that is served here takes one.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Head>, StatusCode> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        Err(httparse::Error::Version) => return Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        Err(_) => return Err(StatusCode::BAD_REQUEST),
    };
    let request = request(&parsed).ok_or(StatusCode::BAD_REQUEST)?;
    let headers = request.headers();
    let is_new = request.version() == Version::HTTP_11;
    if headers.get_all(HOST).iter().count() != 1 && is_new {
        return Err(StatusCode::BAD_REQUEST);
    }
    if has_body(headers) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(Some(Head {
        is_kept: is_new && !has_word(headers, CONNECTION, "close"),
        length,
        request,
    }))
}

fn request(parsed: &httparse::Request<'_, '_>) -> Option<Request<Body>> {
    let uri: Uri = parsed.path?.parse().ok()?;
    if !uri.path().starts_with('/') {
        return None;
    }
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = match parsed.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

fn has_body(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length != "0")
}

/// Whether a header with a list of words has this one.
fn has_word(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name);
    let mut values = values.iter().filter_map(|value| value.to_str().ok());
    values.any(|value| {
        value
            .split(',')
            .any(|has| has.trim().eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(request: &str) -> StatusCode {
        parse(request.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_head_ends_where_the_next_begins() {
        let two = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b";
        let head = parse(two).unwrap().unwrap();
        assert_eq!(head.request.uri().path(), "/a");
        assert_eq!(&two[head.length..], b"GET /b");
        assert!(head.is_kept);
        for length in 0..head.length {
            assert!(parse(&two[..length]).unwrap().is_none());
        }
    }

    #[test]
    fn who_wants_to_close_does() {
        let is_kept = |request: &str| parse(request.as_bytes()).unwrap().unwrap().is_kept;
        assert!(!is_kept("GET / HTTP/1.0\r\n\r\n"));
        assert!(!is_kept(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n"
        ));
        assert!(is_kept(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
        ));
    }

    #[test]
    fn what_has_a_body_is_refused() {
        for header in [
            "Content-Length: 5",
            "Content-Length: 0\r\nContent-Length: 5",
            "Transfer-Encoding: chunked",
        ] {
            let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n");
            assert_eq!(status(&request), StatusCode::PAYLOAD_TOO_LARGE, "{header}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for request in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
            "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
            "\0\r\n\r\n",
        ] {
            assert_eq!(status(request), StatusCode::BAD_REQUEST, "{request}");
        }
        assert_eq!(
            status("GET / HTTP/2.0\r\n\r\n"),
            StatusCode::HTTP_VERSION_NOT_SUPPORTED
        );
    }

    #[test]
    fn a_head_has_a_bound() {
        let many = "a: b\r\n".repeat(MAX_HEADERS + 1);
        let long = "a".repeat(MAX);
        for request in [
            format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"),
            format!("GET / HTTP/1.1\r\nHost: h\r\na: {long}"),
            format!("GET /{long}"),
            format!("GET / HTTP/1.1\r\nHost: h\r\na: {long}\r\n\r\n"),
        ] {
            assert_eq!(
                status(&request),
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_will_do(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nearly_a_request_will_do(
            text in "(GET|HEAD|PUT|[A-Z ]{0,5}) [ -~]{0,20} HTTP/1.[01]\r?\n(([A-Za-z-]{1,9}|Host|Content-Length): ?[ -~]{0,9}\r?\n){0,5}\r?\n?.{0,9}",
        ) {
            if let Ok(Some(head)) = parse(text.as_bytes()) {
                prop_assert!(head.length <= text.len());
                prop_assert!(head.request.uri().path().starts_with('/'));
            }
        }
    }
}
