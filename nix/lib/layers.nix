# Layers: parts of a store that are packed separately. Each is a derivation that depends only on its own roots and those
# of the layers below it. So it is built again only when one of these changes, in parallel with the other layers, on any
# machine, and can come from a binary cache.
#
#   makeLayers { layers = [ [ linux modules ] [ base ] ]; }
#
#   layers       lists of store paths, the lowest layer first; a layer holds the closure of its roots without the
#                closures of the roots below
#   compression  such as "zstd:19"
#   blockSize    of the store images, in bytes
#   noCheck      whether to leave out the check that each store path has its NAR hash
#   imageLimit   the size limit of a store image, in bytes; a larger layer becomes several images. By default 2 GiB,
#                which suits every kernel
#   profile      a boot profile, whose files come first in each layer
#   verity       whether each image has a hash tree of dm-verity, for `makeNetboot` with `verity`
#
# Returns a list of derivations, one for each layer. They do not depend on the system's name: two systems with the same
# layers share them.
{ run, optional }:
{
  layers,
  compression ? null,
  blockSize ? null,
  noCheck ? null,
  imageLimit ? null,
  profile ? null,
  verity ? null,
}:
let
  add =
    { made, below }:
    roots: {
      below = below ++ roots;
      made = made ++ [
        (run
          {
            name = "store-layer";
            graphs = {
              closure = roots;
            }
            // (if below == [ ] then { } else { inherit below; });
          }
          (
            {
              action = "layer";
            }
            // optional {
              profile = if profile == null then null else "${profile}";
              inherit
                compression
                blockSize
                noCheck
                imageLimit
                verity
                ;
            }
          )
        )
      ];
    };
in
(builtins.foldl' add {
  made = [ ];
  below = [ ];
} layers).made
