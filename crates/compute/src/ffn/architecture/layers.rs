//! The tensors that an architecture implies, and which architectures there can be.

use super::super::weights::MAX_DEPTH;
use super::{Architecture, Family, Padding, SeedUpdate};
use crate::error::{Error, Result};

/// Channels of a layer beyond this are not a network but a slip of the pen.
const MAX_FEATURES: usize = 1 << 16;
/// Convolutions of a module have letters.
const MAX_CONVS: usize = 26;

impl Architecture {
    /// `ConvStack3DFFNModel` of google/ffn: so many pairs of convolutions, all of so many features.
    pub fn conv_stack(depth: usize, features: usize) -> Self {
        Self {
            family: Family::ConvStack,
            depth,
            num_convs: 2,
            features: vec![features; depth.saturating_mul(2)],
            kernel_zyx: [3; 3],
            layer_norm: false,
            padding: Padding::Same,
            update: SeedUpdate::Additive,
            image_channels: 1,
        }
    }

    /// `ResConvStack` with the defaults of google-research/connectomics: so many residual modules of two
    /// convolutions with layer normalisation, all of so many features; new logits.
    pub fn res_conv_stack(depth: usize, features: usize) -> Self {
        Self {
            family: Family::ResConvStack,
            features: vec![features; depth.saturating_add(1).saturating_mul(2)],
            layer_norm: true,
            update: SeedUpdate::Direct,
            ..Self::conv_stack(depth, features)
        }
    }

    /// Convolutions, without the last of all.
    pub fn num_features(&self) -> usize {
        let modules = self.depth + usize::from(self.family == Family::ResConvStack);
        modules.saturating_mul(self.num_convs)
    }

    /// Weights, biases and scales of a network.
    pub fn num_parameters(&self) -> u64 {
        let product =
            |shape: &[usize]| shape.iter().fold(1, |p: u64, n| p.saturating_mul(*n as u64));
        let kernels = self.kernels().into_iter();
        let layers = kernels.map(|shape| product(&shape).saturating_add(shape[4] as u64));
        let norms = self.norms().into_iter().map(|channels| 2 * channels as u64);
        layers.chain(norms).fold(0, u64::saturating_add)
    }

    /// `[z, y, x, inputs, outputs]` of the kernels of all convolutions in order, the last one too.
    pub(in crate::ffn) fn kernels(&self) -> Vec<[usize; 5]> {
        let [z, y, x] = self.kernel_zyx;
        let mut inputs = self.image_channels + 1;
        let mut kernels = Vec::with_capacity(self.features.len() + 1);
        for &outputs in &self.features {
            kernels.push([z, y, x, inputs, outputs]);
            inputs = outputs;
        }
        kernels.push([1, 1, 1, inputs, 1]);
        kernels
    }

    /// Channels of each normalisation in order: after the first convolution, before each module, before the
    /// output.
    pub fn norms(&self) -> Vec<usize> {
        if !self.layer_norm {
            return Vec::new();
        }
        let width = self.width();
        let first = self.features.first().copied();
        first.into_iter().chain(std::iter::repeat_n(width, self.depth + 1)).collect()
    }

    /// Channels between modules.
    fn width(&self) -> usize {
        self.features.get(self.num_convs.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// `Ok` if there can be such a network.
    ///
    /// # Errors
    /// [`Error::Usage`] names what cannot be, expected and found.
    pub fn check_layers(&self) -> Result<()> {
        let Self { depth, num_convs, .. } = *self;
        expect("depth", (1..=MAX_DEPTH).contains(&depth), format!("from 1 to {MAX_DEPTH}"), depth)?;
        let good = (1..=MAX_CONVS).contains(&num_convs);
        expect("num_convs", good, format!("from 1 to {MAX_CONVS}"), num_convs)?;
        let channels = self.image_channels;
        expect("image_channels", (1..=MAX_FEATURES).contains(&channels), "at least 1", channels)?;
        let kernel = self.kernel_zyx;
        let good = kernel.iter().all(|k| k % 2 == 1 && *k < 1 << 10);
        expect("kernel_zyx", good, "odd numbers of taps", format!("{kernel:?}"))?;
        if self.family == Family::ConvStack {
            self.check_conv_stack()?;
        }
        self.check_features()
    }

    fn check_conv_stack(&self) -> Result<()> {
        let of = |value: &str| format!("{value} in a ConvStack");
        expect("num_convs", self.num_convs == 2, of("2"), self.num_convs)?;
        let kernel = self.kernel_zyx;
        expect("kernel_zyx", kernel == [3; 3], of("[3, 3, 3]"), format!("{kernel:?}"))?;
        expect("layer_norm", !self.layer_norm, of("false"), self.layer_norm)?;
        expect("padding", self.padding == Padding::Same, of("same"), self.padding)?;
        let additive = self.update == SeedUpdate::Additive;
        expect("additive", additive, of("true"), additive)
    }

    /// As many as there are convolutions, and modules that end with as many as they begin.
    fn check_features(&self) -> Result<()> {
        let (expected, found) = (self.num_features(), self.features.len());
        let what = format!("{expected} numbers or one");
        expect("features", found == expected, what, format!("{found} numbers"))?;
        for (number, &features) in self.features.iter().enumerate() {
            let what = format!("from 1 to {MAX_FEATURES}");
            expect("features", (1..=MAX_FEATURES).contains(&features), what, features)?;
            let ends = (number + 1).is_multiple_of(self.num_convs);
            let what = format!("{} at the end of each module", self.width());
            let at = format!("{features} as number {}", number + 1);
            expect("features", !ends || features == self.width(), what, at)?;
        }
        Ok(())
    }
}

/// An error of a name unless it is as it should be.
fn expect(
    name: &str,
    good: bool,
    expected: impl std::fmt::Display,
    found: impl std::fmt::Display,
) -> Result<()> {
    if good {
        return Ok(());
    }
    Err(Error::Usage(format!("{name}: expected {expected}, found {found}")))
}
