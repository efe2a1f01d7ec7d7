//! Connections: one request after the other, each with its answer.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use super::head::{self, Head};
use super::wire::Wire;
use super::{Limits, SCRIPT};

/// So long, and so many bytes, a client may still send after its last answer. A connection that is closed while there is
/// something to read is reset, and the client would lose the answer.
const FAREWELL: (Duration, usize) = (Duration::from_secs(1), 256 << 10);

/// Why there is no further request.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The client has closed the connection, or was silent for too long.
    Silence,
    /// What it sends is no request that we take.
    Refused(StatusCode),
}

/// Answers the requests of a connection until one of both sides has enough.
pub(super) async fn talk(mut wire: Wire, mut router: Router) {
    let mut inbox = Vec::new();
    loop {
        let head = match next(&mut wire, &mut inbox).await {
            Ok(head) => head,
            Err(End::Silence) => return,
            Err(End::Refused(status)) => {
                let answer = (status, format!("{status}\n")).into_response();
                if wire.answer(answer, false, false).await.is_ok() {
                    farewell(wire).await;
                }
                return;
            }
        };
        inbox.drain(..head.length);
        if inbox.is_empty() {
            // A connection without a request holds no memory for one.
            inbox = Vec::new();
        }
        let is_head = head.request.method() == Method::HEAD;
        let mut request = head.request;
        request.extensions_mut().insert(wire.peer());
        let Ok(answer) = router.call(request).await;
        match wire.answer(answer, is_head, head.is_kept).await {
            Ok(true) => {}
            Ok(false) => return farewell(wire).await,
            // Half an answer is on its way. The client knows by the length that it is not whole.
            Err(_) => return,
        }
    }
}

/// Tells a client that there are too many, and closes the connection.
pub(super) async fn turn_away(mut wire: Wire) {
    let headers = [
        (RETRY_AFTER, HeaderValue::from_static("2")),
        (CONTENT_TYPE, HeaderValue::from_static(SCRIPT)),
    ];
    let text = "The server has too many connections. Come again in two seconds.\n";
    let answer: Response = (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response();
    if wire.answer(answer, false, false).await.is_ok() {
        farewell(wire).await;
    }
}

/// Reads the next request's head. The inbox may hold what came behind the last one.
async fn next(wire: &mut Wire, inbox: &mut Vec<u8>) -> Result<Head, End> {
    let Limits { head, idle, .. } = *wire.limits();
    let mut deadline = Instant::now() + if inbox.is_empty() { idle } else { head };
    let mut seen = 0;
    loop {
        // Who sends byte by byte does not have all of it parsed for each byte.
        let may_be_whole = seen == 0 || may_end(inbox, seen) || inbox.len() >= head::MAX;
        if may_be_whole && let Some(head) = head::parse(inbox).map_err(End::Refused)? {
            return Ok(head);
        }
        seen = inbox.len();
        inbox.reserve(1024);
        match timeout_at(deadline, wire.stream().read_buf(inbox)).await {
            Ok(Ok(0) | Err(_)) => return Err(End::Silence),
            Ok(Ok(_)) if seen == 0 => deadline = Instant::now() + head,
            Ok(Ok(_)) => {}
            Err(_) if inbox.is_empty() => return Err(End::Silence),
            Err(_) => return Err(End::Refused(StatusCode::REQUEST_TIMEOUT)),
        }
    }
}

/// Whether what came after the bytes that were there may end a head: with an empty line.
fn may_end(inbox: &[u8], seen: usize) -> bool {
    let new = inbox.get(seen.saturating_sub(3)..).unwrap_or_default();
    new.windows(2).any(|two| two == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

/// Closes a connection so that the client gets all that was sent.
async fn farewell(mut wire: Wire) {
    let (time, mut bytes) = FAREWELL;
    let read = async {
        wire.shut().await?;
        let mut buffer = [0; 1024];
        while bytes > 0 {
            match wire.stream().read(&mut buffer).await? {
                0 => break,
                count => bytes = bytes.saturating_sub(count),
            }
        }
        Ok::<(), io::Error>(())
    };
    let _ = timeout(time, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        for text in ["a\r\nb\r\n\r\n", "a\nb\n\n", "a\r\n\n"] {
            for seen in 0..text.len() {
                assert!(may_end(text.as_bytes(), seen), "{text:?} {seen}");
                let part = &text.as_bytes()[..seen];
                assert!(!may_end(part, 0), "{text:?} {seen}");
            }
        }
    }
}
