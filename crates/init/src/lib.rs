//! Stage 1 of a storeboot initrd: one static binary that mounts the store and starts the system
