# The tools that `make` needs on a machine with Nix and without apt. The Makefile enters this shell by itself.
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
    cryptsetup
    jq
    busybox
    clang
    bindfs
    strace
    pkg-config
    python3
    nginx
    curl
    iproute2
    dnsmasq
    openssl
    binutils
    sbsigntool
    swtpm
    tpm2-tools
    chromium
  ];
  # storeboot and its stage 1 are linked statically.
  buildInputs = [ pkgs.glibc.static ];
  # The bindings of squashfs-ng need libclang. The tests read images with that library, too.
  LIBCLANG_PATH = "${pkgs.libclang.lib}/lib";
}
