# The closure of some store paths as one file: a squashfs image, or a cpio archive.
#
#   roots        the store paths
#   format       "squashfs" or "cpio"
#   compression  such as "zstd:19"
#   blockSize    of the squashfs image, in bytes
#   noCheck      whether to leave out the check that each store path has its NAR hash
#   profile      a boot profile, whose files come first in a squashfs image
#
# It also takes the arguments of nixpkgs' nixos/lib/make-squashfs.nix, and can replace it:
#
#   storeContents      another name of `roots`
#   comp               mksquashfs' argument, such as "zstd -Xcompression-level 6", or null for no compression. The default
#                      is zstd at level 19, and not nixpkgs' xz
#   fileName           of the image, in names
#   hydraBuildProduct  whether the result is a folder with the image as Hydra's build product
#
# `pseudoFiles` and `noStrip` are refused: an image holds store paths at its root, and nothing else.
{ run, optional }:
{
  name ? null,
  roots ? storeContents,
  storeContents ? [ ],
  format ? "squashfs",
  compression ? null,
  comp ? null,
  blockSize ? null,
  noCheck ? null,
  profile ? null,
  fileName ? null,
  hydraBuildProduct ? false,
  pseudoFiles ? [ ],
  noStrip ? false,
}@arguments:
let
  compressors = import ./compressors.nix;
  suffix = if hydraBuildProduct then "" else ".img";
  defaultName = if fileName == null then "store.${format}" else "${fileName}${suffix}";
  product = "${if fileName == null then "store" else fileName}.${format}";
in
if pseudoFiles != [ ] then
  throw "makeStoreImage: pseudoFiles cannot be honoured; a store image holds store paths and nothing else"
else if noStrip then
  throw "makeStoreImage: noStrip cannot be honoured; the root of a store image is the store itself"
else if arguments ? comp && compression != null then
  throw "makeStoreImage: comp and compression say the same thing; give one of them"
else
  run
    {
      name = if name == null then defaultName else name;
      graphs.closure = roots;
    }
    (
      {
        action = "pack";
        inherit format;
      }
      // optional {
        compression = if arguments ? comp then compressors.squashfs comp else compression;
        inherit blockSize noCheck;
        profile = if profile == null then null else "${profile}";
        product = if hydraBuildProduct then product else null;
      }
    )
