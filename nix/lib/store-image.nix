# The closure of some store paths as one file: a squashfs image, or a cpio archive.
{ run, optional }:
{
  name ? "store.${format}",
  roots,
  format ? "squashfs",
  compression ? null,
  blockSize ? null,
}:
run
  {
    inherit name;
    graphs.closure = roots;
  }
  (
    {
      action = "pack";
      inherit format;
    }
    // optional { inherit compression blockSize; }
  )
