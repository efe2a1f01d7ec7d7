//! The reader against images by `mksquashfs`, by `gensquashfs` and by our own writer, whole and damaged.

mod damage;
mod other_writers;
mod our_writer;
mod trees;
