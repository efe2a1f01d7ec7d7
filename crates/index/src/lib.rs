//! The index that tells stage 1 where the store images lie in an initrd
