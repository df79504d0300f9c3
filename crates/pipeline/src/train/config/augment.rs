//! `[augment]`: how examples are changed, so that the network sees more than there is.

use serde::{Deserialize, Serialize};

use super::data::AxisName;
use super::{ModelTable, expect, expect_probability};

/// `[augment]`.
///
/// Missing sections, misalignment and the warp of sections are those of Lee, Zung, Li, Jain, Seung,
/// "Superhuman accuracy on the SNEMI3D connectomics challenge" (2017),
/// <https://arxiv.org/abs/1706.00120>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentTable {
    /// Axes that may change places; only axes alike in field of view and deltas.
    pub permute: Vec<AxisName>,
    /// Axes that are mirrored in half of the examples.
    pub reflect: Vec<AxisName>,
    /// Contrast, brightness and gamma.
    pub grey: GreyTable,
    /// Sections without an image.
    pub missing_section: MissingSectionTable,
    /// Sections out of place.
    pub misalignment: MisalignmentTable,
    /// Sections bent.
    pub elastic: ElasticTable,
}

impl Default for AugmentTable {
    /// As google/ffn: y and x change places, every axis is mirrored, nothing else.
    fn default() -> Self {
        Self {
            permute: vec![AxisName::Y, AxisName::X],
            reflect: vec![AxisName::Z, AxisName::Y, AxisName::X],
            grey: GreyTable::default(),
            missing_section: MissingSectionTable::default(),
            misalignment: MisalignmentTable::default(),
            elastic: ElasticTable::default(),
        }
    }
}

/// `[augment.grey]`: of a value p, 0 to 1 over four deviations around the mean, becomes
/// `clip(p * c + b) ^ g`. Shared by all sections of an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GreyTable {
    /// How often.
    pub probability: f32,
    /// c is 1 plus or minus up to half of this.
    pub contrast: f32,
    /// b is plus or minus up to half of this.
    pub brightness: f32,
    /// g is 2 to the power of plus or minus up to this.
    pub gamma: f32,
    /// Whether all channels of an image change alike; they do.
    pub channels: Option<GreyChannels>,
}

/// Which channels of an image one change of grey values is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GreyChannels {
    /// The same change for all.
    All,
    /// A change of its own for each.
    Each,
}

impl Default for GreyTable {
    fn default() -> Self {
        Self { probability: 0.0, contrast: 0.3, brightness: 0.3, gamma: 1.0, channels: None }
    }
}

/// `[augment.missing_section]`: a few sections become black, whole or in part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MissingSectionTable {
    /// How often.
    pub probability: f32,
    /// Sections at most; 1 to this many, each anywhere.
    pub sections: usize,
    /// Share of cases in which a quadrant around a random corner is missing, not all of the section.
    pub partial: f32,
}

impl Default for MissingSectionTable {
    fn default() -> Self {
        Self { probability: 0.0, sections: 2, partial: 0.5 }
    }
}

/// `[augment.misalignment]`: from a section on, image and labels are shifted in the plane
/// (translation); or one section's image alone is (slip).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MisalignmentTable {
    /// How often.
    pub probability: f32,
    /// Voxels along y and x at most.
    pub max_shift: usize,
    /// Share of slips.
    pub slip: f32,
}

impl Default for MisalignmentTable {
    fn default() -> Self {
        Self { probability: 0.0, max_shift: 8, slip: 0.3 }
    }
}

/// `[augment.elastic]`: each section is bent in the plane by a smooth field of its own; the centre of
/// the example stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElasticTable {
    /// How often.
    pub probability: f32,
    /// Voxels between the nodes of the field.
    pub spacing: usize,
    /// Deviation of a node's shift, voxels; shifts over two deviations are cut.
    pub sigma: f32,
}

impl Default for ElasticTable {
    fn default() -> Self {
        Self { probability: 0.0, spacing: 16, sigma: 1.5 }
    }
}

impl AugmentTable {
    pub(super) fn check(&self, model: &ModelTable) -> Result<(), String> {
        for (i, a) in self.permute.iter().enumerate() {
            for b in &self.permute[..i] {
                let of =
                    |axis: &AxisName| (model.fov_zyx[axis.index()], model.deltas_zyx[axis.index()]);
                if of(a) != of(b) {
                    return Err(format!(
                        "augment.permute: axes {} and {} differ in field of view or deltas",
                        b.name(),
                        a.name()
                    ));
                }
            }
        }
        expect_probability("augment.grey.probability", self.grey.probability)?;
        for (key, value) in [
            ("augment.grey.contrast", self.grey.contrast),
            ("augment.grey.brightness", self.grey.brightness),
            ("augment.grey.gamma", self.grey.gamma),
        ] {
            expect(key, (0.0..=4.0).contains(&value), "from 0 to 4", value)?;
        }
        self.check_sections()
    }

    fn check_sections(&self) -> Result<(), String> {
        let (missing, shift, bend) = (&self.missing_section, &self.misalignment, &self.elastic);
        for (key, value) in [
            ("augment.missing_section.probability", missing.probability),
            ("augment.missing_section.partial", missing.partial),
            ("augment.misalignment.probability", shift.probability),
            ("augment.misalignment.slip", shift.slip),
            ("augment.elastic.probability", bend.probability),
        ] {
            expect_probability(key, value)?;
        }
        let sections = missing.sections;
        let good = (1..=16).contains(&sections);
        expect("augment.missing_section.sections", good, "from 1 to 16", sections)?;
        let most = shift.max_shift;
        expect("augment.misalignment.max_shift", most <= 256, "at most 256", most)?;
        expect("augment.elastic.spacing", bend.spacing >= 2, "at least 2", bend.spacing)?;
        expect(
            "augment.elastic.sigma",
            (0.0..=64.0).contains(&bend.sigma),
            "from 0 to 64",
            bend.sigma,
        )
    }
}
