# A stand-in for the module whose place ours takes. Two modules that declare one option do not go together: so whoever
# evaluates both learns of it.
{ lib, ... }:
{
  options.netboot.storeContents = lib.mkOption { type = lib.types.str; };
}
