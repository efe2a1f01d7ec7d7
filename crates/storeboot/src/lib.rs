//! Netboot directories: a kernel, an initrd that carries a whole Nix store, and the command line that joins them
