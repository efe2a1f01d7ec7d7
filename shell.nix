# What `make` needs on a machine with Nix and without apt; the Makefile enters it by itself.
{
  pkgs ? import (import ./nix/pin.nix) { },
}:
pkgs.mkShell {
  packages = with pkgs; [
    cargo
    cargo-deny
    clippy
    rustc
    rustfmt
    qemu
    squashfsTools
    squashfs-tools-ng
    cpio
    libarchive
    zstd
    xz
    lz4
    jq
    busybox
    clang
    bindfs
    pkg-config
    python3
  ];
  # storeboot and its stage 1 are linked statically.
  buildInputs = [ pkgs.glibc.static ];
  # For the bindings of squashfs-ng, which the tests use as a second opinion.
  LIBCLANG_PATH = "${pkgs.libclang.lib}/lib";
}
