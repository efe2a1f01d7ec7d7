# What the layout needs on the kernel's command line; the builder adds the same.
{
  layout,
  fetch,
  ...
}:
{
  in-place = [ "retain_initrd" ];
  # Older kernels ignore it.
  file = [ "initramfs_options=size=95%" ];
  direct = [ "initramfs_options=size=95%" ];
  fetch =
    (if fetch.url == [ ] then [ ] else [ "storeboot.store=${builtins.concatStringsSep "," fetch.url}" ])
    ++ (if fetch.keep == null then [ ] else [ "storeboot.keep=${fetch.keep}" ]);
}
.${layout}
