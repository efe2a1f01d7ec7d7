# What each layout has on the kernel's command line; the builder adds the same.
layout:
{
  in-place = [ "retain_initrd" ];
  # Kernels that do not know it take no harm.
  file = [ "initramfs_options=size=95%" ];
  direct = [ "initramfs_options=size=95%" ];
}
.${layout}
