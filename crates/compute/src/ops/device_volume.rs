//! Volumes in the memory of a device of CubeCL - CUDA, Vulkan, Metal, or the CPU by way of LLVM - and
//! operations on them. A volume crosses the bus once, however many operations follow.
//!
//! Voxels are held as 32-bit words, since not all devices have others: `uint8`, `uint16` and `uint32` as
//! whole numbers, `float32` as it is. All else is left to the CPU, as are volumes that are larger than
//! the largest buffer of the device: the error says so.

use cubecl::client::Client;
use cubecl::server::Handle;
use exavox_io::{DataType, Voxels};

use crate::device::{ComputeDevice, guarded, one_line};
use crate::error::{Error, Result};

pub use components::{DeviceFlood, FloodedObject};

mod components;
mod filters;

/// A volume in the memory of a device.
#[derive(Clone)]
pub struct DeviceVolume {
    client: Client,
    device: String,
    shape: [usize; 3],
    dtype: DataType,
    /// Whether no voxel is NaN or infinite.
    finite: bool,
    words: Handle,
}

impl DeviceVolume {
    /// Copies a volume to a device; what the device makes of it is heard of at [`Self::download`].
    ///
    /// # Errors
    /// [`Error::NotOnDevice`] if the device is the plain CPU, for other types than `uint8`, `uint16`, `uint32`
    /// and `float32`, or if the device cannot hold that many voxels in one piece.
    pub fn upload(device: &ComputeDevice, voxels: &Voxels) -> Result<Self> {
        let Some(client) = device.client() else {
            let message = format!("device {}: keeps no volumes", device.name());
            return Err(Error::NotOnDevice(message));
        };
        check_room(client, device.name(), voxels.len())?;
        let mut finite = true;
        let words: Vec<u32> = match voxels.dtype() {
            DataType::U8 => voxels.as_slice::<u8>()?.iter().map(|v| u32::from(*v)).collect(),
            DataType::U16 => voxels.as_slice::<u16>()?.iter().map(|v| u32::from(*v)).collect(),
            DataType::U32 => voxels.as_slice::<u32>()?.to_vec(),
            DataType::F32 => {
                let values = voxels.as_slice::<f32>()?;
                finite = values.iter().all(|v| v.is_finite());
                values.iter().map(|v| v.to_bits()).collect()
            }
            other => {
                let expected = "expected uint8, uint16, uint32 or float32";
                let message = format!("device volumes: {expected}, found {other}");
                return Err(Error::NotOnDevice(message));
            }
        };
        // Devices have no buffers of nothing.
        let words = if words.is_empty() { vec![0] } else { words };
        let handle = guarded(|| client.create_from_slice(bytemuck::cast_slice(&words)))
            .map_err(|reason| failed(device.name(), &reason))?;
        Ok(Self {
            client: client.clone(),
            device: device.name().to_owned(),
            shape: voxels.shape(),
            dtype: voxels.dtype(),
            finite,
            words: handle,
        })
    }

    /// Waits for the device and copies the volume back, as the type it has.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if an operation behind it failed, or the device ran out of memory;
    /// [`Error::Io`] if there is no memory on this side.
    pub fn download(&self) -> Result<Voxels> {
        self.download_as(self.dtype)
    }

    /// As [`Self::download`], whole numbers as another type that holds them, floats rounded to the nearest.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub(crate) fn download_as(&self, dtype: DataType) -> Result<Voxels> {
        let words = self.read(&self.words, self.voxels())?;
        let shape = self.shape;
        if self.dtype == DataType::F32 && dtype != DataType::F32 {
            let floats = words.into_iter().map(f32::from_bits);
            return Ok(match dtype {
                DataType::U8 => Voxels::from_vec(shape, floats.map(|v| v.round() as u8).collect()),
                DataType::U16 => {
                    Voxels::from_vec(shape, floats.map(|v| v.round() as u16).collect())
                }
                _ => Voxels::from_vec(shape, floats.map(|v| v.round() as u32).collect()),
            }?);
        }
        Ok(match dtype {
            DataType::U8 => Voxels::from_vec(shape, words.iter().map(|w| *w as u8).collect()),
            DataType::U16 => Voxels::from_vec(shape, words.iter().map(|w| *w as u16).collect()),
            DataType::F32 => {
                Voxels::from_vec(shape, words.into_iter().map(f32::from_bits).collect())
            }
            _ => Voxels::from_vec(shape, words),
        }?)
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Type of the voxels.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// A volume of this device, whose words a launch fills.
    fn make(
        &self,
        shape: [usize; 3],
        dtype: DataType,
        launch: impl FnOnce(&Client) -> Handle,
    ) -> Result<Self> {
        let words = guarded(|| launch(&self.client)).map_err(|reason| self.failed(&reason))?;
        Ok(Self { shape, dtype, words, ..self.clone() })
    }

    /// The words of a buffer of this device.
    fn read(&self, handle: &Handle, count: usize) -> Result<Vec<u32>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = guarded(|| self.client.read_one(handle.clone()).map_err(|e| e.to_string()));
        let bytes = bytes.and_then(|read| read).map_err(|reason| self.failed(&reason))?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        if words.len() != count {
            let reason = format!("expected {count} values back, found {}", words.len());
            return Err(self.failed(&reason));
        }
        Ok(words)
    }

    fn upload_words(&self, words: &[u32]) -> Result<Handle> {
        guarded(|| self.client.create_from_slice(bytemuck::cast_slice(words)))
            .map_err(|reason| self.failed(&reason))
    }

    fn failed(&self, reason: &str) -> Error {
        failed(&self.device, reason)
    }
}

fn failed(device: &str, reason: &str) -> Error {
    Error::DeviceFailed { device: device.to_owned(), reason: one_line(reason) }
}

/// `Ok` if the device has a buffer for so many words, and can count them.
fn check_room(client: &Client, device: &str, voxels: usize) -> Result<()> {
    let most = (client.properties().memory.max_page_size / 4).min(u64::from(u32::MAX) - 1);
    if voxels as u64 > most {
        return Err(Error::NotOnDevice(format!(
            "device {device}: a volume of {voxels} voxels is too large, it has room for {most}"
        )));
    }
    Ok(())
}
