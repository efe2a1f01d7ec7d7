# A netboot directory: kernel, initrd, command line, iPXE and kexec scripts, manifest.
#
#   kernel        the kernel's file, such as "${linux}/bzImage"
#   init          the system's own init, such as "${toplevel}/init"
#   roots         the store paths whose closure the initrd carries
#   layers        lists of store paths in that closure, the lowest layer first: `[ [ linux modules ] [ base ] ]`, or
#                 `nixosLayers config`. Each becomes a derivation of its own (./layers.nix). A build after a change packs
#                 the changed layer, those above it, and the paths that are in no layer. A path that is not in the closure
#                 of `roots` is an error: it would take memory on every machine that boots this. Not for layout
#                 "direct", which has no images
#   modules       a folder with lib/modules/VERSION in it
#   extraModules  names of modules to load besides those that mount the store
#   cmdline       the kernel's command line, without init
#   layout        how the store lies in the initrd: "in-place", "file" or "direct"; or "fetch", where it lies beside the
#                 initrd as images/*.squashfs, and stage 1 gets it over HTTP
#   compression   such as "zstd:19"
#   archives      how the archive of layout "direct" is cut: "solid", or "per-path", one for each store path
#   blockSize     of the store image, in bytes
#   noCheck       whether to leave out the check that each store path has its NAR hash
#   imageLimit    the size limit of a store image, in bytes; a larger store becomes several images
#   profile       a boot profile: a file that lists what a boot reads, in order. The images hold these files first
#   segments      whether to write each segment of the initrd as a file, too
#   imgverify     whether the iPXE scripts check a signature of each file, by iPXE's command of this name
#   prepend       archives to put first in the initrd, such as a processor's microcode
#   verifyAtBoot  whether stage 1 checks the SHA-256 of the store images before it mounts them
#   verity        whether the store images have hash trees of dm-verity, by which the kernel checks every block that it
#                 reads; the layers get them, too. Not for layout "direct", which has no images
#   readOnlyStore whether the store is read-only on the booted system
#   sbom          whether to write sbom.cdx.json: a software bill of materials of the closure and the kernel
#   initrd        an initrd with its own stage 1 and modules, such as NixOS's; it runs /storeboot/attach
#   stage1        another program as the initrd's /init, or as its /storeboot/attach
#
# For layout "fetch" only:
#
#   storeUrl        where the folder `images` is served: a URL, or a list of URLs with the same files. Without it, the iPXE
#                   script takes the place that it came from
#   keep            the disk that keeps the images between boots: "LABEL=…", "UUID=…", "PARTUUID=…" or "/dev/…"
#   stream          whether stage 2 starts as soon as what `profile` names is there, and stage 1 fetches the rest while the
#                   system runs; with storeboot's stage 1 only, and not with `keep` and `verifyAtBoot`
#   networkModules  drivers of wired network cards: "all" (the default), "common", or a list of names; with storeboot's
#                   stage 1 only, as the two below
#   diskModules     drivers of disks, in the same words; "common" is the default with `keep`, and none without it
#   firmware        a folder of firmware files, or one with lib/firmware in it; those that the drivers name are packed
#
# The result has the layers' derivations as `layers`, so that they can be built elsewhere first.
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
  noCheck ? null,
  imageLimit ? null,
  profile ? null,
  segments ? null,
  imgverify ? null,
  prepend ? null,
  verifyAtBoot ? null,
  verity ? null,
  readOnlyStore ? null,
  sbom ? null,
  initrd ? null,
  stage1 ? null,
  storeUrl ? null,
  keep ? null,
  stream ? null,
  networkModules ? null,
  diskModules ? null,
  firmware ? null,
}:
let
  # The command takes lists.
  list = value: if value == null || builtins.isList value then value else [ value ];
  made = makeLayers {
    inherit
      layers
      compression
      blockSize
      noCheck
      imageLimit
      profile
      verity
      ;
  };
in
# Fails before the layers are built.
if layers != [ ] && layout == "direct" then
  throw "makeNetboot: layers are store images, and layout \"direct\" has none; use \"in-place\", \"file\" or \"fetch\""
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
          noCheck
          imageLimit
          segments
          imgverify
          prepend
          verifyAtBoot
          verity
          readOnlyStore
          sbom
          initrd
          stage1
          keep
          stream
          firmware
          ;
        profile = if profile == null then null else "${profile}";
        storeUrl = list storeUrl;
        networkModules = list networkModules;
        diskModules = list diskModules;
        layers = if made == [ ] then null else map (layer: "${layer}") made;
      }
    )
  // {
    layers = made;
  }
