//! Answers with a file or a text: whole, a range of it, or that it has not changed.

use std::ops::Range;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::range::{Part, part};
use crate::held::Held;

/// What an answer is made of.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) bytes: Source,
    /// Its SHA-256, or another word that is different for other bytes.
    pub(super) tag: Option<String>,
    pub(super) media: &'static str,
    pub(super) cache: &'static str,
}

/// Where the bytes of an answer come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Text(Bytes),
    File {
        held: Arc<Held>,
        /// The file's name, for those who watch how far a machine is.
        name: Arc<str>,
    },
}

/// The bytes never change: their URL has the hash of what it leads to.
pub(super) const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Ask each time whether there are others.
pub(super) const ASK: &str = "no-cache";
/// For this client only, and for this once.
pub(super) const NEVER: &str = "no-store";

/// Part of a file, which the connection sends in place of the answer's body.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) held: Arc<Held>,
    pub(super) name: Arc<str>,
    pub(super) range: Range<u64>,
}

impl Content {
    fn size(&self) -> u64 {
        match &self.bytes {
            Source::Text(bytes) => bytes.len() as u64,
            Source::File { held, .. } => held.size(),
        }
    }
}

/// Answers a request of this method with these headers.
pub(super) fn answer(method: &Method, request: &HeaderMap, content: Content) -> Response {
    let size = content.size();
    let tag = content.tag.as_ref().map(|tag| format!("\"{tag}\""));
    let mut headers = HeaderMap::new();
    put(&mut headers, CACHE_CONTROL, content.cache);
    if let Some(tag) = &tag {
        put(&mut headers, ETAG, tag);
    }
    if matches(request, IF_NONE_MATCH, tag.as_deref()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    put(&mut headers, ACCEPT_RANGES, "bytes");
    put(&mut headers, CONTENT_TYPE, content.media);
    let (status, range) = match asked(method, request, tag.as_deref(), size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Of(range) => {
            let (first, last) = (range.start, range.end - 1);
            put(
                &mut headers,
                CONTENT_RANGE,
                &format!("bytes {first}-{last}/{size}"),
            );
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Part::None => {
            put(&mut headers, CONTENT_RANGE, &format!("bytes */{size}"));
            put(&mut headers, CONTENT_LENGTH, "0");
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        }
    };
    let length = range.end - range.start;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let mut response = (status, headers).into_response();
    match content.bytes {
        Source::Text(bytes) => {
            let start = usize::try_from(range.start).unwrap_or(usize::MAX);
            let end = usize::try_from(range.end).unwrap_or(usize::MAX);
            // Inside the text, as `part` says.
            let bytes = match end <= bytes.len() {
                true => bytes.slice(start..end),
                false => bytes,
            };
            *response.body_mut() = Body::from(bytes);
        }
        Source::File { held, name } => {
            if method != Method::HEAD {
                response
                    .extensions_mut()
                    .insert(Transfer { held, name, range });
            }
        }
    }
    response
}

/// Which part a request asks for.
fn asked(method: &Method, request: &HeaderMap, tag: Option<&str>, size: u64) -> Part {
    let ranges: Vec<&HeaderValue> = request.get_all(RANGE).iter().collect();
    let [range] = ranges[..] else {
        return Part::Whole;
    };
    // With If-Range, the client wants a part only of what it has already.
    let is_same = match request.get(IF_RANGE) {
        Some(has) => tag.is_some_and(|tag| has.as_bytes() == tag.as_bytes()),
        None => true,
    };
    match range.to_str() {
        Ok(range) if is_same && method == Method::GET => part(range, size),
        _ => Part::Whole,
    }
}

/// Whether a header of entity tags names this one, or is `*`.
fn matches(request: &HeaderMap, header: HeaderName, tag: Option<&str>) -> bool {
    let Some(tag) = tag else {
        return false;
    };
    let values = request.get_all(header);
    let mut values = values.iter().filter_map(|value| value.to_str().ok());
    values.any(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|has| has == "*" || has.strip_prefix("W/").unwrap_or(has) == tag)
    })
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Ours hold nothing that a header must not.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &'static str) -> Content {
        Content {
            bytes: Source::Text(Bytes::from_static(text.as_bytes())),
            tag: Some("abc".into()),
            media: "text/plain",
            cache: FOR_EVER,
        }
    }

    fn get(headers: &[(HeaderName, &str)]) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        answer(&Method::GET, &map, content("0123456789"))
    }

    fn header(response: &Response, name: HeaderName) -> &str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn all_of_it_has_a_length_and_a_tag() {
        let response = get(&[]);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, CONTENT_LENGTH), "10");
        assert_eq!(header(&response, ETAG), "\"abc\"");
        assert_eq!(header(&response, CACHE_CONTROL), FOR_EVER);
    }

    #[test]
    fn a_range_of_it() {
        let response = get(&[(RANGE, "bytes=2-4")]);
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(header(&response, CONTENT_LENGTH), "3");
        assert_eq!(header(&response, CONTENT_RANGE), "bytes 2-4/10");
        let response = get(&[(RANGE, "bytes=10-")]);
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(header(&response, CONTENT_RANGE), "bytes */10");
        // Two headers are as nonsense.
        let twice = [(RANGE, "bytes=2-4"), (RANGE, "bytes=5-6")];
        assert_eq!(get(&twice).status(), StatusCode::OK);
    }

    #[test]
    fn a_head_has_no_ranges() {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=2-4"))]);
        let response = answer(&Method::HEAD, &headers, content("0123456789"));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, CONTENT_LENGTH), "10");
    }

    #[test]
    fn who_has_it_does_not_get_it_again() {
        for has in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            let status = get(&[(IF_NONE_MATCH, has)]).status();
            assert_eq!(status, StatusCode::NOT_MODIFIED, "{has}");
        }
        assert_eq!(get(&[(IF_NONE_MATCH, "\"x\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn a_part_of_something_else_is_not_wanted() {
        for (has, status) in [
            ("\"abc\"", StatusCode::PARTIAL_CONTENT),
            ("W/\"abc\"", StatusCode::OK),
            ("\"x\"", StatusCode::OK),
            ("Wed, 21 Oct 2015 07:28:00 GMT", StatusCode::OK),
        ] {
            let response = get(&[(RANGE, "bytes=2-4"), (IF_RANGE, has)]);
            assert_eq!(response.status(), status, "{has}");
        }
    }
}
