//! Writing images.
//!
//! Entries come in on one thread, blocks are compressed on many, and the image goes out in order: [`intake`] cuts files
//! into blocks and [`fragments`], [`pipeline`] has them compressed by [`codec`], and [`image`] writes them with their
//! inodes and listings.

mod cache;
mod chunk;
mod codec;
mod content;
mod density;
mod directory;
mod error;
mod fragments;
mod image;
mod image_writer;
mod inode;
mod intake;
mod metadata;
mod options;
mod piece;
mod pipeline;
mod source;
mod step;

pub use cache::BlockCache;
pub use error::Error;
pub use image_writer::ImageWriter;
pub use options::{Options, Summary};
pub use piece::{Digest, Piece, Reread};
