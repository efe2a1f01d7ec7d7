# Derivations built by a shell script that needs nothing but busybox, which is handed to it as $busybox.
{ busybox, system }:
{
  name,
  script,
  ...
}@attributes:
derivation (
  {
    inherit system busybox;
    builder = busybox;
    args = [
      "sh"
      "-eu"
      script
    ];
    # Quicker made than asked for.
    preferLocalBuild = true;
    allowSubstitutes = false;
  }
  // builtins.removeAttrs attributes [ "script" ]
)
