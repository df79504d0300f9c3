//! The network on the buffers of a CubeCL device: fused convolutions one after the other, many FOVs
//! at once. Images and logits of objects can stay on the device; else FOVs and logits cross the bus.

use cubecl::client::Client;
use cubecl::server::Handle;

use super::config::ModelConfig;
use super::device_memory::DEVICE_BATCH;
use super::network::{Network, check_batch, in_parts};
use super::residence::Residence;
use super::weights::{Layer, Weights};
use crate::device::{ComputeDevice, guarded, one_line};
use crate::error::{Error, Result};
use crate::kernels::conv3d::{self, Buffers, ConvShape, Fusions};
use crate::precision::Precision;
use resident::Resident;

mod images;
mod object_tiles;
mod plan;
mod residence;
mod resident;
mod slots;

/// A convolution whose weights are on the device.
struct DeviceLayer {
    kernel: [usize; 3],
    channels: [usize; 2],
    weights: Handle,
    bias: Handle,
}

/// Activations of a batch; two of them are ping and pong, the third holds what lies between the two
/// convolutions of a module.
struct Activations {
    batch: usize,
    features: [Handle; 3],
    update: Handle,
}

/// The network on CUDA, Vulkan, Metal or CubeCL's CPU runtime.
///
/// Memory on the device: the weights, and for each FOV of a batch three times its features in f32;
/// 13.8 MB for 33^3 voxels of 32 features. As a [`Residence`] also the images of canvases, and 16 KiB for each
/// tile of an object that grows, twice that after the pool of tiles has grown; both together no more than the
/// device's [`ComputeDevice::room_bytes`].
pub struct DeviceNetwork {
    device: ComputeDevice,
    client: Client,
    fov_zyx: [usize; 3],
    precision: Precision,
    /// `conv0_a`, `conv0_b`, `conv1_a`, ...; the last is the update.
    layers: Vec<DeviceLayer>,
    activations: Option<Activations>,
    resident: Resident,
    /// Most FOVs at once; halved when the device fails.
    most: usize,
}

impl DeviceNetwork {
    /// Puts the weights on the device. Kernels are compiled, and on a GPU tried, at the first step.
    ///
    /// # Errors
    /// [`Error::Usage`] if the device is not one of CubeCL; [`Error::DeviceFailed`] if it has no room
    /// for a FOV.
    pub fn new(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        let Some(client) = device.client().cloned() else {
            let message = format!("device {}: has no kernels of its own", device.name());
            return Err(Error::Usage(message));
        };
        let pairs = std::iter::once(&weights.first).chain(&weights.modules);
        let all = pairs.flat_map(|(a, b)| [a, b]).chain([&weights.update]);
        let layers = guarded(|| all.map(|layer| DeviceLayer::new(layer, &client)).collect())
            .map_err(|reason| failed(device, &reason))?;
        let fov_zyx = config.fov_zyx;
        let device = device.clone();
        let resident = Resident::new(&client, device.room_bytes());
        let mut network = Self {
            device,
            resident,
            client,
            fov_zyx,
            precision,
            layers,
            activations: None,
            most: usize::MAX,
        };
        network.most = network.most_at_once()?;
        Ok(network)
    }

    /// Writes the new logits of many FOVs. All three have `batch` FOVs, one after the other, each as
    /// in [`Network::step`]. Each FOV gets the same logits, whatever the batch.
    ///
    /// A batch that the device has no room for is cut into smaller ones.
    ///
    /// # Errors
    /// [`Error::Usage`] if a slice has another length; [`Error::DeviceFailed`] if the device fails
    /// with a single FOV; `logits` is then undefined.
    pub fn step_batch(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        batch: usize,
    ) -> Result<()> {
        let fov: usize = self.fov_zyx.iter().product();
        check_batch([fov, fov], batch, images, seeds, logits)?;
        let mut most = self.most;
        let done = in_parts(batch, &mut most, |part| {
            let voxels = part.start * fov..part.end * fov;
            let (images, seeds) = (&images[voxels.clone()], &seeds[voxels.clone()]);
            self.run(images, seeds, &mut logits[voxels], part.len()).inspect_err(|_| self.release())
        });
        self.most = most;
        done
    }

    /// How many FOVs fit into the largest buffer that the device has.
    fn most_at_once(&self) -> Result<usize> {
        let fits = |batch| self.shapes(batch).try_for_each(|shape| shape.check(&self.client));
        fits(1).map_err(|error| failed(&self.device, &error.to_string()))?;
        let mut most = 1;
        while most < 1 << 20 && fits(most * 2).is_ok() {
            most *= 2;
        }
        Ok(most)
    }

    fn shapes(&self, batch: usize) -> impl Iterator<Item = ConvShape> {
        let zyx = self.fov_zyx;
        self.layers.iter().map(move |layer| {
            let [inputs, outputs] = layer.channels;
            ConvShape { batch, zyx, inputs, outputs, kernel: layer.kernel }
        })
    }

    /// One batch, all at once.
    fn run(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        batch: usize,
    ) -> Result<()> {
        let input: Vec<f32> =
            images.iter().zip(seeds).flat_map(|(image, seed)| [*image, *seed]).collect();
        let update = guarded(|| {
            let input = self.client.create_from_slice(bytemuck::cast_slice(&input));
            let update = self.forward(&input, batch)?;
            self.download(update)
        })
        .map_err(|reason| failed(&self.device, &reason))??;
        let update: &[f32] = bytemuck::cast_slice(&update);
        if update.len() != logits.len() {
            let (expected, found) = (logits.len(), update.len());
            let reason = format!("expected {expected} logits, found {found}");
            return Err(failed(&self.device, &reason));
        }
        for ((logit, seed), update) in logits.iter_mut().zip(seeds).zip(update) {
            *logit = seed + update;
        }
        Ok(())
    }

    /// The change of the seed, in a buffer that the next batch writes to. `input`: `[batch, z, y, x, 2]`.
    fn forward(&mut self, input: &Handle, batch: usize) -> Result<Handle> {
        let Activations { batch: room, features: [mut x, mut next, between], update } =
            match self.activations.take() {
                Some(kept) if kept.batch == batch => kept,
                _ => self.allocate(batch),
            };
        let modules = self.layers.len() / 2;
        for module in 0..modules {
            let first = module == 0;
            let from = if first { input } else { &x };
            let a = Fusions { relu_input: !first, relu_output: true };
            self.convolve(2 * module, batch, a, from, None, &between)?;
            let residual = (!first).then_some(&x);
            self.convolve(2 * module + 1, batch, Fusions::default(), &between, residual, &next)?;
            std::mem::swap(&mut x, &mut next);
        }
        let last = Fusions { relu_input: true, relu_output: false };
        self.convolve(2 * modules, batch, last, &x, None, &update)?;
        let features = [x, next, between];
        self.activations = Some(Activations { batch: room, features, update: update.clone() });
        Ok(update)
    }

    fn download(&self, words: Handle) -> Result<Vec<u32>> {
        let bytes = self.client.read_one(words);
        let bytes = bytes.map_err(|error| failed(&self.device, &error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    fn convolve(
        &self,
        index: usize,
        batch: usize,
        fusions: Fusions,
        input: &Handle,
        residual: Option<&Handle>,
        output: &Handle,
    ) -> Result<()> {
        let layer = &self.layers[index];
        let [inputs, outputs] = layer.channels;
        let shape = ConvShape { batch, zyx: self.fov_zyx, inputs, outputs, kernel: layer.kernel };
        let (weights, bias) = (&layer.weights, &layer.bias);
        let buffers = Buffers { input, weights, bias, mask: None, residual, output };
        conv3d::launch(&self.client, buffers, shape, fusions, self.precision)
            .map_err(|error| failed(&self.device, &error.to_string()))
    }

    fn allocate(&self, batch: usize) -> Activations {
        let values = self.shapes(batch).map(|shape| shape.output_len()).max().unwrap_or(0);
        let voxels = batch * self.fov_zyx.iter().product::<usize>();
        let features = std::array::from_fn(|_| self.client.empty(values * 4));
        Activations { batch, features, update: self.client.empty(voxels * 4) }
    }

    /// Gives memory back after a failure.
    fn release(&mut self) {
        self.activations = None;
        // A device that cannot even do this fails again at the next try, which is reported.
        let _ = guarded(|| self.client.memory_cleanup());
    }
}

impl DeviceLayer {
    fn new(layer: &Layer, client: &Client) -> Self {
        let [kz, ky, kx, inputs, outputs] = layer.shape;
        let upload = |values: &[f32]| client.create_from_slice(bytemuck::cast_slice(values));
        let (weights, bias) = (upload(&layer.weights), upload(&layer.biases));
        Self { kernel: [kz, ky, kx], channels: [inputs, outputs], weights, bias }
    }
}

impl Network for DeviceNetwork {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        DeviceNetwork::step_batch(self, image, seed, logits, 1)
    }

    fn step_batch(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        count: usize,
    ) -> Result<()> {
        DeviceNetwork::step_batch(self, images, seeds, logits, count)
    }

    fn preferred_batch(&self) -> usize {
        DEVICE_BATCH.min(self.most)
    }

    fn residence(&mut self) -> Option<&mut dyn Residence> {
        Some(self)
    }

    fn device_name(&self) -> String {
        self.device.name().to_owned()
    }
}

fn failed(device: &ComputeDevice, reason: &str) -> Error {
    Error::DeviceFailed { device: device.name().to_owned(), reason: one_line(reason) }
}
