# Debian packages as store paths, without nixpkgs: a folder that scripts/fetch-debs made becomes one derivation a
# package, named as in Debian. What a package depends on, it names in a file, and so refers to it as Nix sees it.
# The only program that runs is the static busybox in that folder, so this builds inside Nix's sandbox as well.
{
  debs,
  system ? builtins.currentSystem,
}:
let
  list = builtins.fromJSON (builtins.readFile (debs + "/packages.json"));
  byName = builtins.listToAttrs (map (p: { inherit (p) name; value = p; }) list);

  # A folder and not a file, since busybox looks at the name that it is called by.
  busybox = "${
    builtins.path {
      name = "busybox";
      path = debs + "/bin";
    }
  }/busybox";

  # Debian's packages may depend on each other in a circle, store paths may not refer to each other in one. A package's
  # rank is its place in a walk that visits dependencies first; the edges that close a circle lead up and are dropped.
  visit =
    walk: name:
    if walk.seen ? ${name} then
      walk
    else
      let
        deeper = builtins.foldl' visit (walk // { seen = walk.seen // { ${name} = null; }; }) byName.${name}.depends;
      in
      {
        inherit (deeper) seen;
        count = deeper.count + 1;
        rank = deeper.rank // { ${name} = deeper.count; };
      };
  rank =
    (builtins.foldl' visit {
      seen = { };
      rank = { };
      count = 0;
    } (builtins.attrNames byName)).rank;

  # Store path names have fewer characters than Debian's versions and file names.
  storeName = builtins.replaceStrings [ "~" ":" "%3a" ] [ "-" "-" "-" ];

  run = import ../busybox.nix { inherit busybox system; };

  package =
    name: p:
    run {
      name = storeName "${p.name}-${p.version}";
      script = ./unpack.sh;
      deb = builtins.path {
        name = storeName p.file;
        path = debs + "/${p.file}";
      };
      depends = map (d: packages.${d}) (builtins.filter (d: rank.${d} < rank.${name}) p.depends);
    };
  packages = builtins.mapAttrs package byName;
in
{
  inherit packages run;

  # One tree of links to the files of all these packages, by the builder that `nix-env` uses for profiles.
  union =
    name: paths:
    derivation {
      inherit name;
      system = "builtin";
      builder = "builtin:buildenv";
      derivations = map (path: [ "true" 5 1 path ]) paths;
      manifest = builtins.toFile "manifest" "";
      preferLocalBuild = true;
      allowSubstitutes = false;
    };
}
