# Not nixpkgs' lib: a stand-in with as much of its module system as nix/modules needs, so that the modules can be evaluated
# where there is no nixpkgs. It knows imports, disabledModules, mkIf, mkMerge, priorities, mkBefore and mkAfter, and refuses
# options that nobody declares. What it does not know: freeform types, option merging across declarations of different
# types, readOnly, apply on sub-options, and types other than those below. The same tests run against the real one where
# NIXPKGS names it; docs/nixos.md tells how.
let
  lib = trivial // modules // { inherit types; };
  inherit (builtins)
    all
    attrNames
    concatMap
    elem
    filter
    foldl'
    head
    isAttrs
    isFunction
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    sort
    tail
    ;

  trivial = rec {
    inherit (builtins)
      all
      any
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      filter
      mapAttrs
      ;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: set: if condition then set else { };
    subtractLists = unwanted: filter (value: !(elem value unwanted));
    drop = count: list: if count == 0 || list == [ ] then list else drop (count - 1) (tail list);
    splitString = separator: text: filter isString (builtins.split separator text);
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    removePrefix =
      prefix: text:
      if hasPrefix prefix text then builtins.substring (builtins.stringLength prefix) (-1) text else text;
    toLower =
      let
        letters = text: filter (letter: isString letter && letter != "") (builtins.split "" text);
      in
      builtins.replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");
    last = list: builtins.elemAt list (length list - 1);
    toInt = builtins.fromJSON;
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    unique = foldl' (found: value: if elem value found then found else found ++ [ value ]) [ ];
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if isAttrs set && set ? ${head path} then
        attrByPath (tail path) default set.${head path}
      else
        default;
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    filterAttrs =
      keep: set:
      listToAttrs (
        map (name: {
          inherit name;
          value = set.${name};
        }) (filter (name: keep name set.${name}) (attrNames set))
      );
  };

  property = type: content: { _type = type; } // content;
  is = type: value: isAttrs value && value._type or null == type;

  modules = rec {
    mkOption = set: set // { _type = "option"; };
    literalExpression = text: property "literalExpression" { inherit text; };
    mkEnableOption =
      what:
      mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
      };
    mkIf = condition: content: property "if" { inherit condition content; };
    mkMerge = contents: property "merge" { inherit contents; };
    mkOverride = priority: content: property "override" { inherit priority content; };
    mkForce = mkOverride 50;
    mkImageMediaOverride = mkOverride 60;
    mkVMOverride = mkOverride 10;
    mkDefault = mkOverride 1000;
    mkOptionDefault = mkOverride 1500;
    mkOrder = order: content: property "order" { inherit order content; };
    mkBefore = mkOrder 500;
    mkAfter = mkOrder 1500;

    inherit evalModules;
  };

  # Definitions without mkMerge and mkIf around their values, and with the priority beside them. What has a priority is not
  # looked at, as in nixpkgs: it may depend on what else is defined.
  discharge =
    definition:
    let
      inherit (definition) value;
      again = value: discharge (definition // { inherit value; });
    in
    if is "merge" value then
      concatMap again value.contents
    else if is "if" value then
      trivial.optionals value.condition (again value.content)
    else if is "override" value then
      [
        (
          definition
          // {
            value = value.content;
            inherit (value) priority;
          }
        )
      ]
    else
      [ (definition // { priority = 100; }) ];

  highestPrio =
    discharged:
    foldl' (least: definition: if definition.priority < least then definition.priority else least) 9999 discharged;

  # The definitions that count, in order.
  winners =
    definitions:
    let
      found = concatMap discharge definitions;
      best = highestPrio found;
      ordered =
        definition:
        if is "order" definition.value then
          definition
          // {
            value = definition.value.content;
            inherit (definition.value) order;
          }
        else
          definition // { order = 1000; };
    in
    sort (a: b: a.order < b.order) (map ordered (filter (definition: definition.priority == best) found));

  # What is said of one name in sets of definitions; conditions and priorities around a set go to each of its names.
  ofName = name: concatMap (definition: map (value: definition // { inherit value; }) (pick name definition.value));
  pick =
    name: value:
    if is "merge" value then
      concatMap (pick name) value.contents
    else if is "if" value then
      map (content: value // { inherit content; }) (pick name value.content)
    else if is "override" value || is "order" value then
      map (content: value // { inherit content; }) (pick name value.content)
    else if !isAttrs value then
      throw "a set is wanted where ${name} may be defined, not a ${builtins.typeOf value}"
    else
      trivial.optional (value ? ${name}) value.${name};
  namesIn =
    value:
    if is "merge" value then
      concatMap namesIn value.contents
    else if is "if" value || is "override" value || is "order" value then
      namesIn value.content
    else
      attrNames value;

  merged =
    place: type: definitions:
    type.merge place definitions;
  checked =
    what: check:
    what
    // {
      merge =
        place: definitions:
        let
          bad = filter (definition: !check definition.value) definitions;
        in
        if bad != [ ] then
          throw "A definition for option `${place}' is not of type `${what.name}'. Definition in `${(head bad).file}'."
        else
          what.merge place definitions;
    };
  one =
    name: check:
    checked {
      inherit name check;
      merge =
        place: definitions:
        let
          values = trivial.unique (map (definition: definition.value) definitions);
        in
        if length values == 1 then head values else throw "The option `${place}' has conflicting definition values.";
    } check
    // { inherit name check; };
  isText = value: isString value || (isAttrs value && value ? outPath) || builtins.isPath value;

  types = rec {
    bool = one "boolean" builtins.isBool;
    str = one "string" isString;
    strMatching = pattern: one "string matching the pattern ${pattern}" (value: isString value && builtins.match pattern value != null);
    int = one "signed integer" builtins.isInt;
    ints.positive = one "positive integer" (value: builtins.isInt value && value > 0);
    path = one "absolute path" (value: isText value && trivial.hasPrefix "/" "${value}");
    package = one "package" (value: isAttrs value && value.type or null == "derivation");
    unspecified = one "unspecified value" (_: true);
    anything = unspecified;
    raw = unspecified;
    enum = values: one "one of ${builtins.toJSON values}" (value: elem value values);
    lines = checked {
      name = "strings concatenated with \"\\n\"";
      check = isString;
      merge = _: definitions: builtins.concatStringsSep "\n" (map (definition: definition.value) definitions);
    } isString;
    nullOr =
      type:
      let
        check = value: value == null || type.check value;
      in
      checked {
        name = "null or ${type.name}";
        inherit check;
        merge =
          place: definitions:
          if all (definition: definition.value == null) definitions then null else type.merge place definitions;
      } check
      // { inherit check; name = "null or ${type.name}"; };
    either =
      a: b:
      let
        check = value: a.check value || b.check value;
      in
      {
        name = "${a.name} or ${b.name}";
        inherit check;
        merge =
          place: definitions:
          (if all (definition: a.check definition.value) definitions then a else b).merge place definitions;
      };
    listOf =
      type:
      checked {
        name = "list of ${type.name}";
        check = isList;
        merge =
          place: definitions:
          concatMap (
            definition:
            map (
              value:
              type.merge place [
                {
                  inherit value;
                  inherit (definition) file;
                }
              ]
            ) definition.value
          ) definitions;
      } isList
      // { check = isList; name = "list of ${type.name}"; };
    attrsOf = attrsOf' false;
    # Does not look whether a name has a definition that counts before somebody asks for its value.
    lazyAttrsOf = attrsOf' true;
    attrsOf' =
      lazy: type:
      checked {
        name = "attribute set of ${type.name}";
        check = isAttrs;
        merge =
          place: definitions:
          let
            names = trivial.unique (concatMap (definition: attrNames definition.value) definitions);
            here = name: winners (ofName name (map plain definitions));
          in
          listToAttrs (
            map (name: {
              inherit name;
              value = merged "${place}.${name}" ((type.at or (_: type)) name) (here name);
            }) (filter (name: lazy || here name != [ ]) names)
          );
      } isAttrs
      // { check = isAttrs; name = "attribute set of ${type.name}"; };
    submodule =
      module:
      let
        at = name: {
          inherit at;
          name = "submodule";
          check = isAttrs;
          merge =
            _: definitions:
            (evalModules {
              modules = [ module ] ++ map (definition: { _file = definition.file; config = definition.value; }) definitions;
              specialArgs = { inherit name; };
            }).config;
        };
      in
      at "";
  };
  plain = definition: { inherit (definition) file value; };

  evalModules =
    {
      modules,
      specialArgs ? { },
    }:
    let
      arguments = specialArgs // { inherit lib config options; };

      # Modules and what they import, each once, but those that one of them disables.
      load =
        file: module:
        let
          isFile = builtins.isPath module || isString module;
          read = if isFile then import module else module;
          called = if isFunction read then read arguments else read;
          here = if isFile then toString module else called._file or file;
          isLong = called ? config || called ? options;
        in
        [
          {
            file = here;
            key = if isFile then toString module else null;
            options = called.options or { };
            config = if isLong then called.config or { } else removeAttrs called [ "imports" "disabledModules" "_file" "key" ];
            disabled = map (
              other: if trivial.hasPrefix "/" (toString other) then toString other else "${toString specialArgs.modulesPath}/${other}"
            ) (called.disabledModules or [ ]);
            imported = concatMap (load here) (called.imports or [ ]);
          }
        ];
      flatten = concatMap (module: [ module ] ++ flatten module.imported);
      disabled = concatMap (module: module.disabled) (flatten loaded);
      prune =
        list: concatMap (module: trivial.optionals (!(elem module.key disabled)) ([ module ] ++ prune module.imported)) list;
      loaded = concatMap (load "a test") modules;
      kept = foldl' (
        found: module: if module.key != null && builtins.any (other: other.key == module.key) found then found else found ++ [ module ]
      ) [ ] (prune loaded);

      declared = foldl' mergeOptions { } (map (module: module.options) kept);
      mergeOptions =
        a: b:
        a
        // mapAttrs (
          name: value:
          if !(a ? ${name}) then
            value
          else if is "option" value || is "option" a.${name} then
            throw "the option ${name} is declared twice"
          else
            mergeOptions a.${name} value
        ) b;

      definitions = map (module: {
        inherit (module) file;
        value = module.config;
      }) kept;

      inside = place: name: if place == "" then name else "${place}.${name}";
      evaluate =
        place: tree: found:
        mapAttrs (
          name: node:
          (if is "option" node then option else evaluate) (inside place name) node (ofName name found)
        ) tree;

      # What is defined and nowhere declared.
      unknown =
        place: tree: found:
        concatMap (
          name:
          if !(tree ? ${name}) then
            [ (inside place name) ]
          else if is "option" tree.${name} then
            [ ]
          else
            unknown (inside place name) tree.${name} (ofName name found)
        ) (trivial.unique (concatMap (definition: namesIn definition.value) found));
      strange = unknown "" declared definitions;

      option =
        place: declaration: found:
        let
          default = trivial.optional (declaration ? default) {
            file = "its default";
            value = modules'.mkOptionDefault declaration.default;
          };
          counted = winners (default ++ found);
          value =
            if counted == [ ] then
              throw "The option `${place}' was accessed but has no value defined."
            else
              merged place declaration.type counted;
        in
        declaration
        // {
          definitionsWithLocations = map plain (winners found);
          highestPrio = highestPrio (concatMap discharge (default ++ found));
          value = (declaration.apply or (value: value)) value;
        };
      modules' = lib;

      options = evaluate "" declared definitions;
      values = mapAttrs (_: node: if is "option" node then node.value else values node);
      config = values options;
    in
    {
      inherit options;
      config = if strange == [ ] then config else throw "The option `${head strange}' does not exist.";
    };
in
lib
