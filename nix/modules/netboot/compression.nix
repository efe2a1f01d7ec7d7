# Translates mksquashfs' words, such as "zstd -Xcompression-level 6", into storeboot's, such as "zstd:6".
{ lib }:
text:
let
  # Leaves out a filter for programs of one processor, which older NixOS sets; it makes xz a little smaller.
  without =
    words:
    if words == [ ] then
      [ ]
    else if builtins.head words == "-Xbcj" then
      without (lib.drop 2 words)
    else
      [ (builtins.head words) ] ++ without (builtins.tail words);
in
(import ../../lib/compressors.nix).squashfs (lib.concatStringsSep " " (without (lib.splitString " " text)))
