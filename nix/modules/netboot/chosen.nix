# Whether a configuration itself chooses a layout. A configuration may choose its kernel by its file systems or its
# modules; the layout's default looks at the kernel, and so what decides about these must not ask for it. The default is
# never one of the layouts that this is asked for.
{
  config,
  lib,
  options,
}:
layout:
options.netboot.layout.highestPrio != (lib.mkOptionDefault null).priority && config.netboot.layout == layout
