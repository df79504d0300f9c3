//! Every environment variable that the program reads. A flag goes before its variable.

/// Value of `--device`.
pub(crate) const DEVICE: &str = "EXAVOX_DEVICE";
/// Value of `--threads`.
pub(crate) const THREADS: &str = "EXAVOX_THREADS";
/// Value of `--memory`.
pub(crate) const MEMORY: &str = "EXAVOX_MEMORY";

/// The widest vector instructions that may be used.
pub(crate) const VECTORS: &str = "EXAVOX_VECTORS";

/// For the end of `exavox --help`.
pub(crate) const HELP: &str = "\
Environment (a flag goes before its variable):
  EXAVOX_DEVICE   value of --device
  EXAVOX_THREADS  value of --threads
  EXAVOX_MEMORY   value of --memory
  EXAVOX_NO_MMAP  read files instead of mapping them into memory, whatever the value
  EXAVOX_VECTORS  widest vector instructions to use: avx512, avx2 (or NEON) or portable
  NO_COLOR        no colours in help and errors

A volume is named by its path: v.zarr, v.zarr/0, v.h5:raw, v.npy, v.raw:uint8:z,y,x, stack.tif,
folder/ or a pattern such as 'mosaic_{channel}_z{z}.tif'. zarr://, n5:// and precomputed:// before it
force a format. Axes are in the order z, y, x everywhere.

Exit status: 0 done; 1 done, but a part failed or a check is not met; 2 could not run, or wrong use.";
