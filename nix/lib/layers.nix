# Layers: parts of a store that are packed by themselves. Each is a derivation that knows nothing but its own roots and
# those of the layers below it, so that it is built again only when one of these changes, on whatever machine, beside
# the other layers, and can come from a binary cache.
#
#   makeLayers { layers = [ [ linux modules ] [ base ] ]; }
#
#   layers       lists of store paths, the lowest layer first; a layer holds the closure of its roots without what is in
#                the closures of the roots below
#   compression  such as "zstd:19"
#   blockSize    of the store images, in bytes
#   imageLimit   bytes of a store image at most; a larger layer becomes several images. By default 2 GiB, which suits
#                every kernel
#
# Gives a list of derivations, one for each layer. The name of what they are for is no part of them: two systems with the
# same layers share them.
{ run, optional }:
{
  layers,
  compression ? null,
  blockSize ? null,
  imageLimit ? null,
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
            // optional { inherit compression blockSize imageLimit; }
          )
        )
      ];
    };
in
(builtins.foldl' add {
  made = [ ];
  below = [ ];
} layers).made
