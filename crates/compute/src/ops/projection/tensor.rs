//! The maximum as burn's tensors do it: what our own kernels are held against.

use burn::tensor::{DType, Int, Tensor, TensorData};
use exavox_io::Voxels;

use crate::device::{ComputeDevice, guarded};
use crate::error::{Error, Result};

/// Maximum along z of a uint16 block by burn on a device; from host memory to host memory.
///
/// # Errors
/// [`Error::Io`] if the block has another type; [`Error::DeviceFailed`].
pub fn maximum_by_burn(device: &ComputeDevice, block: &Voxels) -> Result<Voxels> {
    let [_, y, x] = block.shape();
    let values = TensorData::new(block.as_slice::<u16>()?.to_vec(), block.shape());
    let failed = |reason| Error::DeviceFailed { device: device.name().to_owned(), reason };
    let maxima = guarded(|| {
        let stack = Tensor::<3, Int>::from_data(values, (device.burn(), DType::U16));
        stack.max_dim(0).try_into_data()
    });
    let maxima = maxima.map_err(failed)?.map_err(|e| failed(e.to_string()))?;
    let maxima = maxima.as_slice::<u16>().map_err(|e| failed(format!("{e:?}")))?;
    Ok(Voxels::from_vec([1, y, x], maxima.to_vec())?)
}
