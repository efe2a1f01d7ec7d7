# A netboot directory: kernel, initrd, command line, iPXE and kexec scripts, manifest.
#
#   kernel        the kernel's file, such as "${linux}/bzImage"
#   init          the system's own init, such as "${toplevel}/init"
#   roots         the store paths whose closure the initrd carries
#   layers        lists of store paths in that closure, the lowest layer first: each becomes a derivation of its own
#                 (./layers.nix), and a build after a change packs only the layers from the changed one on, and what is in
#                 no layer. `[ [ linux modules ] [ base ] ]`, or `nixosLayers config`. A path that is not in the
#                 closure of `roots` is an error, since it would take memory in every machine that boots this; who wants
#                 it names it in `roots`, too. Not for layout "direct", which has no images
#   modules       a folder with lib/modules/VERSION in it
#   extraModules  names of modules to load besides those that mount the store
#   cmdline       what to put on the kernel's command line besides init
#   layout        how the store lies in the initrd: "in-place", "file" or "direct"
#   compression   such as "zstd:19"
#   archives      how the archive of layout "direct" is cut: "solid", or "per-path", one for each store path
#   blockSize     of the store image, in bytes
#   imageLimit    bytes of a store image at most; a larger store becomes several images
#   segments      whether to write the initrd's segments as files of their own, too
#   prepend       archives to put first in the initrd, such as a processor's microcode
#   verifyAtBoot  whether stage 1 checks the store images' SHA-256 before it mounts them
#   readOnlyStore whether the booted system finds its store read-only
#   initrd        an initrd that brings its own stage 1 and modules, such as NixOS's; it runs /storeboot/attach
#   stage1        another program as the initrd's /init, or as its /storeboot/attach
#
# The result has the layers' derivations as `layers`, for those who build them elsewhere first.
{
  run,
  optional,
  makeLayers,
}:
{
  name ? "netboot",
  kernel,
  init,
  roots,
  layers ? [ ],
  modules ? null,
  extraModules ? null,
  cmdline ? null,
  layout ? null,
  compression ? null,
  archives ? null,
  blockSize ? null,
  imageLimit ? null,
  segments ? null,
  prepend ? null,
  verifyAtBoot ? null,
  readOnlyStore ? null,
  initrd ? null,
  stage1 ? null,
}:
let
  made = makeLayers {
    inherit
      layers
      compression
      blockSize
      imageLimit
      ;
  };
in
# Said before the layers are built, and not when they are put together.
if layers != [ ] && layout == "direct" then
  throw "makeNetboot: layers are store images, and layout \"direct\" has none; use \"in-place\" or \"file\""
else
  run
    {
      inherit name;
      graphs.closure = roots;
    }
    (
      {
        action = "build";
      }
      // optional {
        inherit
          kernel
          init
          modules
          extraModules
          cmdline
          layout
          compression
          archives
          blockSize
          imageLimit
          segments
          prepend
          verifyAtBoot
          readOnlyStore
          initrd
          stage1
          ;
        layers = if made == [ ] then null else map (layer: "${layer}") made;
      }
    )
  // {
    layers = made;
  }
