# An initrd of store paths and links to them, in the place of nixpkgs' `makeInitrdNG` and `makeInitrd`: `$out/initrd`, and
# a link to it that has the compressor's extension.
#
#   contents         what is in it: a list of `{ source = "/nix/store/…"; target = "/init"; }`, or, in older words,
#                    `{ object = …; symlink = …; }`, with a `suffix` that the link's end gets. The link may be left out,
#                    or null; with `enable = false` there is nothing of it
#   prepend          archives to put first, such as a processor's microcode
#   compressor       "gzip" (the default), "pigz", "xz", "pixz", "zstd", "lz4", or "cat" for none; or a program's path
#   compressorArgs   a level, such as [ "-19" ]; what says nothing else than what is done anyway is taken, too
#   extension        of the link; by default what suits the compressor
#
# Unlike nixpkgs' makeInitrdNG this packs the whole closure of each `source`, as makeInitrd does: nothing has to be found
# out about what a program opens, and a systemd that was told of few files has all of them. Nothing is stripped, whatever
# `strip` says, so that every store path is what Nix knows. `dlopen` has nothing to do where all is there.
{ run, optional }:
let
  compressors = import ./compressors.nix;

  # Where the store path in a string ends. Substrings keep what the string refers to.
  storePath =
    text:
    let
      prefix = builtins.match "(${builtins.storeDir}/[^/]+).*" (builtins.unsafeDiscardStringContext text);
    in
    if prefix == null then
      throw "makeInitrd: ${text} is not in the store ${builtins.storeDir}, and so no content of an initrd"
    else
      builtins.substring 0 (builtins.stringLength (builtins.head prefix)) text;

  content =
    item:
    let
      source = "${item.source or item.object or (throw "makeInitrd: a content has neither source nor object")}";
      suffix = item.suffix or null;
      end = if suffix == null || suffix == "none" then source else source + suffix;
      target = item.target or item.symlink or null;
    in
    {
      root = storePath source;
      item = {
        source = end;
      }
      // optional { inherit target; };
    };
in
{
  name ? "initrd",
  contents,
  prepend ? [ ],
  compressor ? "gzip",
  compressorArgs ? null,
  extension ? null,
  strip ? true,
  makeUInitrd ? false,
  uInitrdArch ? null,
  uInitrdCompression ? null,
}:
let
  resolved = compressors.resolve { inherit compressor compressorArgs; };
  made = map content (builtins.filter (item: item.enable or true) contents);
in
if makeUInitrd then
  throw "makeInitrd: storeboot does not wrap an initrd for U-Boot; leave makeUInitrd false, and run mkimage on the result"
else
  run
    {
      inherit name;
      graphs.closure = map (one: one.root) made;
    }
    {
      action = "initrd";
      contents = map (one: one.item) made;
      prepend = map (file: "${file}") prepend;
      inherit (resolved) compression;
      extension = if extension == null then resolved.extension else extension;
    }
