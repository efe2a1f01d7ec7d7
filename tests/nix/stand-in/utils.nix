# Of nixpkgs' nixos/lib/utils.nix, what nix/modules calls.
let
  isOdd = letter: builtins.match "[a-zA-Z0-9:_./]" letter == null;
  letters = text: builtins.filter builtins.isString (builtins.split "" text);
  # What the tests have in their paths.
  escape = letter: if letter == "" then "" else if letter == "-" then "\\x2d" else if isOdd letter then throw "a path with ${letter}" else letter;
in
{
  fsNeededForBoot =
    fs:
    fs.neededForBoot
    || builtins.elem fs.mountPoint [
      "/"
      "/nix"
      "/nix/store"
      "/var"
      "/var/log"
      "/var/lib"
      "/var/lib/nixos"
      "/etc"
      "/usr"
    ];

  escapeSystemdPath =
    path:
    let
      inner = builtins.substring 1 (-1) path;
    in
    builtins.replaceStrings [ "/" ] [ "-" ] (builtins.concatStringsSep "" (map escape (letters inner)));

  escapeSystemdExecArgs =
    arguments:
    builtins.concatStringsSep " " (
      map (argument: builtins.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON "${argument}")) arguments
    );
}
