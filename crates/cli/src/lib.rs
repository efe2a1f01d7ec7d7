//! The storeboot command
