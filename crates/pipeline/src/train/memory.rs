//! Memory of a training, estimated from its configuration before any of it is taken: examples grow with the
//! cube of the field of view and of its moves, and nothing else says so before the machine is out of it.

use exavox_compute::ffn::Architecture;
use exavox_compute::{ComputeDevice, DeviceSpec};

use super::config::{AugmentTable, TrainConfig};
use super::geometry::Geometry;
use crate::error::{Error, Result};

/// Bytes of a voxel of an example: image, labels and weights, 32 bits each; of a channel more.
const EXAMPLE: [u64; 2] = [12, 4];
/// Of a voxel that is read for an example: as it is stored, as 32 bits, labels, mask, places; and the crop. Of a channel more: the crop,
/// and a copy of it.
const MAKING: [u64; 2] = [56, 8];
/// Of a voxel of an example under way: the canvas as well, here, in the last checkpoint and in its file.
const UNDER_WAY: [u64; 2] = [EXAMPLE[0] + 16, EXAMPLE[1]];
/// Of a voxel of a field of view: four inputs and the new logits, here and on their way to a device.
const FIELD: [u64; 2] = [40, 8];
/// Of a parameter: the weights, a gradient, up to three values of the optimiser; all again in the last
/// checkpoint, and in its files while they are written.
const PARAMETER: u64 = 60;

/// What a training holds at once, bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Needs {
    canvas: [usize; 3],
    batch: usize,
    /// One example that waits for its turn.
    example: u64,
    /// All that is read for one while it is made.
    making: u64,
    /// The examples under way, one for each field of view of a batch.
    under_way: u64,
    /// Weights, and what the optimiser remembers.
    parameters: u64,
    /// What the network keeps of a step for its gradients, on the CPU.
    activations: u64,
    /// Labels of a block and around it, from which centres are drawn.
    labels: u64,
    /// Decoded chunks of image, labels and mask of all volumes, kept for the next read.
    chunks: u64,
    /// The region of the validation, and what segmenting it takes.
    validation: u64,
}

impl Needs {
    /// Of a configuration whose steps run on these devices; memory of GPUs is not counted.
    pub(super) fn new(
        config: &TrainConfig,
        geometry: &Geometry,
        devices: &[ComputeDevice],
    ) -> Self {
        let batch = config.optimizer.batch;
        let on_cpu =
            |device: &&ComputeDevice| matches!(device.spec(), DeviceSpec::Cpu | DeviceSpec::CpuJit);
        let shares = devices.iter().filter(on_cpu).count();
        let fields = (batch.div_ceil(devices.len().max(1)) * shares).min(batch) as u64;
        let (canvas, fov) = (voxels(geometry.canvas), voxels(geometry.fov));
        let architecture = config.model.architecture();
        let activations = fov.saturating_mul(fields).saturating_mul(activations(&architecture));
        let inputs = fov.saturating_mul(batch as u64).saturating_mul(each(FIELD, geometry));
        let read = voxels(with_margins(geometry.canvas, &config.augment));
        Self {
            canvas: geometry.canvas,
            batch,
            example: canvas.saturating_mul(each(EXAMPLE, geometry)),
            making: read.saturating_mul(each(MAKING, geometry)),
            under_way: canvas
                .saturating_mul(batch as u64)
                .saturating_mul(each(UNDER_WAY, geometry)),
            parameters: architecture.num_parameters().saturating_mul(PARAMETER),
            activations: activations.saturating_add(inputs),
            labels: 0,
            chunks: 0,
            validation: 0,
        }
    }

    /// The same with all steps on the CPU.
    pub(super) fn on_the_cpu(&self, config: &TrainConfig, geometry: &Geometry) -> Self {
        let all = voxels(geometry.fov).saturating_mul(self.batch as u64);
        let each = activations(&config.model.architecture()) + each(FIELD, geometry);
        let activations = all.saturating_mul(each);
        Self { activations, ..*self }
    }

    /// With the blocks of labels that are kept and read.
    pub(super) fn with_labels(self, bytes: u64) -> Self {
        Self { labels: bytes, ..self }
    }

    /// With the chunks that volumes keep.
    pub(super) fn with_chunks(self, bytes: u64) -> Self {
        Self { chunks: bytes, ..self }
    }

    /// Bytes of chunks that image, labels and mask of so many volumes may keep, each of them: all together a
    /// fifth of what is left of the memory at most.
    pub(super) fn chunk_bytes(&self, memory: u64, volumes: usize) -> u64 {
        memory.saturating_sub(self.total()) / (16 * volumes.max(1) as u64)
    }

    /// With a validation.
    pub(super) fn with_validation(self, bytes: u64) -> Self {
        Self { validation: bytes, ..self }
    }

    /// All of it, with one example that waits.
    pub(super) fn total(&self) -> u64 {
        let Self { example, making, under_way, parameters, activations, .. } = *self;
        let Self { labels, chunks, validation, .. } = *self;
        let parts =
            [example, making, under_way, parameters, activations, labels, chunks, validation];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// Refuses what does not fit into so many bytes.
    ///
    /// # Errors
    /// [`Error::Settings`] with what is needed, and for what.
    pub(super) fn check(&self, memory: u64) -> Result<()> {
        if self.total() <= memory {
            return Ok(());
        }
        let Self { example, making, under_way, parameters, activations, .. } = *self;
        let Self { labels, chunks, validation, .. } = *self;
        let [z, y, x] = self.canvas;
        let message = format!(
            "needs about {} MiB of memory, {} MiB may be used: {} for {} examples of [{z}, {y}, {x}] voxels, {} to \
             make the next, {} for a step, {} for parameters, {} for labels, {} for chunks of the volumes, {} for the validation; choose a smaller optimizer.batch, \
             moves.fov_moves, model.fov_zyx or sampling.lom_radius_zyx",
            mib(self.total()),
            memory >> 20,
            mib(under_way),
            self.batch,
            mib(example.saturating_add(making)),
            mib(activations),
            mib(parameters),
            mib(labels),
            mib(chunks),
            mib(validation),
        );
        Err(Error::settings("training", message))
    }

    /// Examples that can be made ahead in so many bytes: two for each field of view, but at least one.
    pub(super) fn ahead(&self, memory: u64) -> usize {
        let left = memory.saturating_sub(self.total()) / self.example.max(1);
        (1 + usize::try_from(left).unwrap_or(usize::MAX - 1)).min(2 * self.batch)
    }
}

/// Bytes of a voxel of an image with one channel, and of each channel more.
fn each([one, more]: [u64; 2], geometry: &Geometry) -> u64 {
    one + more * (geometry.channels as u64).saturating_sub(1)
}

/// Bytes that a network keeps of a voxel on the CPU: what each convolution and each normalisation takes, the
/// channels of the image beside the first, and in the backward pass three gradients and what transforms need.
fn activations(architecture: &Architecture) -> u64 {
    let features = &architecture.features;
    let channels = architecture.image_channels;
    let widest = features.iter().max().copied().unwrap_or(0).max(channels) as u64;
    let kept: u64 = features.iter().chain(&architecture.norms()).map(|f| *f as u64).sum();
    4 * (kept + channels.saturating_sub(1) as u64 + 6 * widest)
}

/// What is read for an example whose sections may be shifted and bent.
fn with_margins(canvas: [usize; 3], augment: &AugmentTable) -> [usize; 3] {
    let (shift, bend) = (&augment.misalignment, &augment.elastic);
    let shifted = if shift.probability > 0.0 { shift.max_shift } else { 0 };
    // A node's shift is cut at two deviations, and that of the centre is taken off it.
    let bent = if bend.probability > 0.0 { (4.0 * bend.sigma).ceil() as usize } else { 0 };
    let margin = 2 * (shifted + bent);
    [canvas[0], canvas[1] + margin, canvas[2] + margin]
}

pub(super) fn voxels(shape: [usize; 3]) -> u64 {
    shape.into_iter().fold(1, |voxels: u64, size| voxels.saturating_mul(size as u64))
}

/// Rounded up, so that nothing that is needed reads as 0.
pub(super) fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(tables: &str) -> TrainConfig {
        let text = format!(
            "[[volumes]]\nimage = 'a'\nlabels = 'b'\nmean = 0\nstddev = 1\n[run]\noutput = 'o'\nsteps = 1\n{tables}"
        );
        TrainConfig::parse(&text, "c").unwrap()
    }

    fn needs(tables: &str, devices: usize) -> Needs {
        let config = config(tables);
        let geometry = Geometry::new(&config.model.config(), &config.moves)
            .with_channels(config.model.num_channels());
        let devices = vec![ComputeDevice::cpu().unwrap(); devices];
        Needs::new(&config, &geometry, &devices)
    }

    #[test]
    fn what_a_network_keeps_is_what_its_layers_take() {
        // As it was told before there were other networks.
        assert_eq!(activations(&Architecture::conv_stack(12, 32)), 4 * 32 * (2 * 12 + 6));
        let res = Architecture::res_conv_stack(12, 32);
        assert_eq!(activations(&res), 4 * 32 * (26 + 14 + 6));
        let bare = Architecture { layer_norm: false, ..res };
        assert_eq!(activations(&bare), 4 * 32 * (26 + 6));
        let three = Architecture { image_channels: 3, ..bare };
        assert_eq!(activations(&three), 4 * (32 * (26 + 6) + 2));
    }

    #[test]
    fn each_channel_takes_room_in_examples_and_batches() {
        let of = |channels: usize| {
            let tables = format!(
                "[model]\nimage_channels = {channels}\nfov_zyx = [9, 9, 9]\ndeltas_zyx = [2, 2, 2]\n\
                 [optimizer]\nbatch = 3"
            );
            let text = format!(
                "[[volumes]]\nimage = 'a'\nlabels = 'b'\nchannels = {:?}\nmean = 0\nstddev = 1\n\
                 [run]\noutput = 'o'\nsteps = 1\n{tables}",
                (0..channels).collect::<Vec<_>>()
            );
            let config = TrainConfig::parse(&text, "c").unwrap();
            let geometry =
                Geometry::new(&config.model.config(), &config.moves).with_channels(channels);
            Needs::new(&config, &geometry, &[])
        };
        let (one, three) = (of(1), of(3));
        let (canvas, fov) = (13 * 13 * 13, 9 * 9 * 9);
        assert_eq!(three.example - one.example, 2 * 4 * canvas);
        assert_eq!(three.making - one.making, 2 * 8 * canvas);
        assert_eq!(three.under_way - one.under_way, 2 * 4 * 3 * canvas);
        assert_eq!(three.activations - one.activations, 2 * 8 * 3 * fov);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_its_numbers() {
        let largest = "[model]\nfov_zyx = [1023, 1023, 1023]\ndeltas_zyx = [511, 511, 511]\n[moves]\n\
                       policy = 'max_pred_moves'\nfov_moves = 16\n[optimizer]\nbatch = 4096\n";
        let error = needs(largest, 1).check(1 << 40).unwrap_err().to_string();
        assert!(error.contains("1048576 MiB may be used"), "{error}");
        assert!(error.contains("for 4096 examples of [18397, 18397, 18397] voxels"), "{error}");
        // The network of google/ffn with a batch of four fits into 4 GiB, and hardly into 400 MiB.
        let usual = needs("[model]\ndepth = 12", 1);
        usual.check(4 << 30).unwrap();
        assert!(usual.check(400 << 20).is_err());
    }

    #[test]
    fn examples_are_made_ahead_as_memory_allows() {
        let needs = needs("[model]\n[optimizer]\nbatch = 6", 1).with_labels(1 << 20);
        let total = needs.total();
        assert_eq!((needs.ahead(0), needs.ahead(total)), (1, 1));
        assert_eq!(needs.ahead(total + 3 * needs.example), 4);
        assert_eq!(needs.ahead(u64::MAX), 12);
    }

    #[test]
    fn chunks_of_volumes_take_a_part_of_what_is_left_and_count() {
        let needs = needs("[model]", 1);
        let memory = needs.total() + (160 << 20);
        assert_eq!(needs.chunk_bytes(memory, 2), 5 << 20);
        assert_eq!(needs.chunk_bytes(1 << 20, 2), 0);
        let with = needs.with_chunks(170 << 20);
        let error = with.check(memory).unwrap_err().to_string();
        assert!(error.contains("170 for chunks of the volumes"), "{error}");
        with.check(memory + (10 << 20)).unwrap();
    }

    #[test]
    fn only_steps_on_the_cpu_count() {
        let [none, one, two] = [0, 1, 2].map(|n| needs("[model]\n[optimizer]\nbatch = 3", n));
        assert!(none.activations < one.activations && one.activations == two.activations);
        let config = config("[model]\n[optimizer]\nbatch = 3");
        let geometry = Geometry::new(&config.model.config(), &config.moves);
        assert_eq!(none.on_the_cpu(&config, &geometry), one);
    }

    #[test]
    fn margins_are_those_of_augmentation() {
        let text = "[model]\n[augment]\nmisalignment = { probability = 1.0, max_shift = 9 }\n\
                    elastic = { probability = 0.1, sigma = 1.6 }";
        assert_eq!(with_margins([3, 5, 7], &config(text).augment), [3, 37, 39]);
        assert_eq!(with_margins([3, 5, 7], &AugmentTable::default()), [3, 5, 7]);
    }
}
