//! The network, for layout `fetch`.

mod links;
mod rtnetlink;
