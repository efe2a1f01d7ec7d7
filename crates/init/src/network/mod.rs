//! The network, for layout `fetch`.

mod rtnetlink;
