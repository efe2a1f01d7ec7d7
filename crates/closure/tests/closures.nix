# Small closures for the tests of the readers, with all that can be in a store path.
let
  make =
    name: script: attrs:
    derivation (
      {
        inherit name;
        system = builtins.currentSystem;
        builder = "/bin/bash";
        # The shell must outlive the last command: coreutils close their output before they exit,
        # and Nix kills a builder once its output is closed.
        args = [
          "-ec"
          "${script}\nexit 0"
        ];
        PATH = "/usr/bin:/bin";
      }
      // attrs
    );
in
rec {
  # A path that is a file.
  file = make "file" "echo content > $out" { };

  # A path that refers to itself, and has a name that is no UTF-8.
  tree = make "tree" ''
    mkdir -p $out/empty $out/bin "$out/a b"
    echo "$file $out" > $out/references
    printf 12345678 > "$out/a b/"$'caf\xe9\n'
    echo '#!/bin/sh' > $out/bin/run
    chmod +x $out/bin/run
    : > $out/nothing
    ln -s ../references $out/bin/link
    ln -s /nowhere $out/dangling
  '' { inherit file; };

  # A path that is a symbolic link.
  link = make "link" "ln -s $tree/bin $out" { inherit tree; };

  top = make "top" "echo $link $file > $out" { inherit link file; };

  # What exportReferencesGraph tells a builder, in both forms.
  text = make "text" "cp graph $out" {
    exportReferencesGraph = [
      "graph"
      top
    ];
  };
  attrs = make "attrs" ''. ./.attrs.sh; cp .attrs.json ''${outputs[out]}'' {
    __structuredAttrs = true;
    exportReferencesGraph.closure = [ top ];
  };
}
