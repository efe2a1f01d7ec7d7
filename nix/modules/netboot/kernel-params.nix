# What each layout needs on the kernel's command line; the builder adds the same.
layout:
{
  in-place = [ "retain_initrd" ];
  # Older kernels ignore it.
  file = [ "initramfs_options=size=95%" ];
  direct = [ "initramfs_options=size=95%" ];
}
.${layout}
