# An initrd of store paths and links to them, as nixpkgs' `makeInitrdNG` and `makeInitrd` make it: `$out/initrd`, and a link
# to it with the compressor's extension.
#
#   contents         a list of `{ source = "/nix/store/…"; target = "/init"; }`, or, in older words,
#                    `{ object = …; symlink = …; }`, with a `suffix` for the end of the link. The link may be left out
#                    or null; a content with `enable = false` is left out
#   wholeClosure     whether to pack the whole closure of each `source` (the default), as makeInitrd does. Otherwise only
#                    the sources are packed, with what they link to and the libraries that their programs load, as
#                    makeInitrdNG does; a source's `dlopen = { usePriority = "recommended"; features = [ ]; }` adds those
#                    of the libraries that a program loads by itself
#   prepend          archives to put first, such as a processor's microcode
#   compressor       "gzip" (the default), "pigz", "xz", "pixz", "zstd", "lz4", or "cat" for none; or a program's path
#   compressorArgs   a level, such as [ "-19" ], and arguments that change nothing here, such as [ "-T0" ]
#   extension        of the link; by default the compressor's
#
# Nothing is stripped, whatever `strip` says, so that every store path is what Nix knows.
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
      // optional {
        inherit target;
        dlopen = item.dlopen or null;
      };
    };
in
{
  name ? "initrd",
  contents,
  wholeClosure ? true,
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
      inherit wholeClosure;
      prepend = map (file: "${file}") prepend;
      inherit (resolved) compression;
      extension = if extension == null then resolved.extension else extension;
    }
