# Translates the compressors of nixpkgs' builders, such as `compressor = "zstd"; compressorArgs = [ "-19" ];`, into
# storeboot's words. It refuses what storeboot cannot do before anything is built.
let
  # Levels 1 to `max`, as `-N`.
  level =
    max: argument:
    let
      digits = builtins.match "-([0-9]+)" argument;
      number = builtins.fromJSON (builtins.head digits);
    in
    # A number does not begin with 0 where it has more digits.
    if digits == null || builtins.match "-0.+" argument != null || number > max then null else number;
  matches = pattern: argument: builtins.match pattern argument != null;

  # For each compressor: its name here and its default level; the level that an argument sets, or null; and whether an
  # argument changes nothing here: it asks for no name and no time in the file, for the check and the frame that the
  # kernel takes, or for a number of threads.
  gzip = {
    name = "gzip";
    extension = ".gz";
    default = 9;
    levelOf =
      argument:
      let
        digit = builtins.match "-n?([1-9])n?" argument;
      in
      if digit != null then
        builtins.fromJSON (builtins.head digit)
      else
        {
          "--best" = 9;
          "--fast" = 1;
        }
        .${argument} or null;
    idle = matches "-n|--no-name";
  };
  xz = {
    name = "xz";
    extension = ".xz";
    default = 6;
    levelOf =
      argument:
      if argument == "--best" then
        9
      else if argument == "--fast" then
        0
      else
        level 9 argument;
    idle = matches "--check=crc32|-C ?crc32|-T ?[0-9]+|--threads=[0-9]+";
  };
  known = {
    cat = {
      name = "none";
      extension = ".cpio";
      default = null;
      levelOf = _: null;
      idle = _: false;
    };
    inherit gzip xz;
    pigz = gzip;
    pixz = xz;
    zstd = {
      name = "zstd";
      extension = ".zst";
      default = 10;
      levelOf = level 22;
      idle = matches "--ultra|-T ?[0-9]+|--threads=[0-9]+|-q|--no-progress";
    };
    lz4 = {
      name = "lz4";
      extension = ".lz4";
      default = 1;
      levelOf = argument: if argument == "--best" then 12 else level 12 argument;
      idle = matches "-l";
    };
  };

  words = text: builtins.filter (word: builtins.isString word && word != "") (builtins.split " " text);
in
{
  inherit known;

  # A compressor and its arguments: `compression` for the command, and the file's extension. `compressor` is a name, the
  # path of a program, or a command with arguments; `compressorArgs = null` takes the defaults.
  resolve =
    {
      compressor,
      compressorArgs ? null,
    }:
    let
      command =
        if builtins.isString compressor then
          words (builtins.unsafeDiscardStringContext compressor)
        else
          throw "makeInitrd: the compressor is to be a name, such as \"zstd\", or the path of a program";
      name =
        if command == [ ] then throw "makeInitrd: the compressor has no name" else baseNameOf (builtins.head command);
      found =
        known.${name}
          or (throw "makeInitrd: storeboot does not compress by ${name}; it knows ${toString (builtins.attrNames known)}");
      arguments = builtins.tail command ++ (if compressorArgs == null then [ ] else compressorArgs);
      set =
        current: argument:
        let
          wanted = found.levelOf argument;
        in
        if wanted == 0 && found.name != "xz" then
          throw "makeInitrd: ${name} has no level 0 here"
        else if wanted != null then
          wanted
        else if found.idle argument then
          current
        else
          throw "makeInitrd: the argument ${argument} of ${name} cannot be honoured; storeboot takes a level, such as -6, and nothing else";
      chosen = builtins.foldl' set found.default arguments;
    in
    {
      compression = if chosen == null then found.name else "${found.name}:${toString chosen}";
      inherit (found) extension;
    };

  # mksquashfs' argument `-comp`, such as "zstd -Xcompression-level 6"; null stands for no compression.
  squashfs =
    comp:
    let
      command = words comp;
      name = builtins.head command;
      options = toString (builtins.tail command);
      numbered = builtins.match "-Xcompression-level ([0-9]+)" options;
      plain = {
        "gzip" = "gzip:9";
        "zstd" = "zstd:15";
        "xz" = "xz:6";
        # The dictionary is as large as a block; a larger one has no use.
        "xz -Xdict-size 100%" = "xz:6";
        "lz4" = "lz4:1";
        "lz4 -Xhc" = "lz4:12";
      };
    in
    if comp == null then
      "none"
    else if command != [ ] && builtins.elem name [ "gzip" "zstd" ] && numbered != null then
      "${name}:${builtins.head numbered}"
    else
      plain.${toString command}
        or (throw "makeStoreImage: storeboot cannot compress as `${comp}` says; it takes gzip and zstd with -Xcompression-level, xz with -Xdict-size 100%, and lz4 with -Xhc");
}
