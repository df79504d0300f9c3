//! google/ffn's `InferenceRequest` in protobuf text form, turned into our settings.
//!
//! Sizes in a request are x, y, z; they are reversed here, once.

use std::path::{Path, PathBuf};

use super::settings::{Seeds, SegmentSettings};
use super::text_proto::{Field, Value, parse};
use crate::error::{Error, Result};

mod masks;
mod messages;
mod model_args;
mod reader;
mod seeds;

use messages::{alignment, inference_options, require, vector, volume};
use model_args::ModelFields;
use reader::Reader;

/// A request, with what the command line gives otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Settings of the segmentation.
    pub settings: SegmentSettings,
    /// The image, as exavox names volumes (`file.h5:dataset`).
    pub image: Option<String>,
    /// Directory for results.
    pub output_directory: Option<PathBuf>,
    /// Fields that have no effect here, and why.
    pub notes: Vec<String>,
}

impl Request {
    /// Reads a request file.
    ///
    /// # Errors
    /// [`Error::Settings`] names file, line and field: one that is not known, one that is known but
    /// not supported, one that is missing.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(exavox_io::Error::at(path))?;
        Self::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, file: &str) -> Result<Self> {
        let fields = parse(text, file)?;
        let mut settings = SegmentSettings::new("");
        // What a request leaves out is 0 in google/ffn.
        settings.inference.min_segment_size = 0;
        settings.inference.min_boundary_dist_zyx = [0; 3];
        let (image, output_directory) = (None, None);
        let mut request = Self { settings, image, output_directory, notes: Vec::new() };
        let mut model = ModelFields::default();
        for field in &fields {
            request.take(&Reader { file, field }, &mut model)?;
        }
        model
            .apply(&mut request.settings)
            .map_err(|why| Error::settings(format!("{file} model_args"), why))?;
        require(&fields, file, &["model_checkpoint_path", "image_mean", "image_stddev"])?;
        require(&fields, file, &["inference_options", "seed_policy"])?;
        request.settings.seeds = Seeds::Policy(seeds::policy(&fields, file)?);
        request.settings.shift_mask = masks::shift_mask(&fields, file)?;
        Ok(request)
    }

    fn take(&mut self, field: &Reader<'_>, model: &mut ModelFields) -> Result<()> {
        let settings = &mut self.settings;
        match field.name() {
            "image" => self.image = Some(volume(field)?),
            "image_mean" => settings.inference.image_mean = field.number()?,
            "image_stddev" => settings.inference.image_stddev = field.number()?,
            "model_checkpoint_path" => settings.checkpoint = field.text()?.into(),
            "model_name" => model.take_name(field)?,
            "model_args" => model.take_args(field)?,
            "movement_policy_name" => field.check_class("FaceMaxMovementPolicy")?,
            // Put together at the end: the arguments may stand before the policy.
            "seed_policy" | "seed_policy_args" => {}
            "movement_policy_args" => field.check_empty_json()?,
            "inference_options" => inference_options(field, settings)?,
            "segmentation_output_dir" => self.output_directory = Some(field.text()?.into()),
            "batch_size" | "concurrent_requests" | "checkpoint_interval" => {
                self.notes.push(format!("{} has no effect; see the flags", field.name()));
            }
            "alignment_options" => alignment(field)?,
            "masks" => settings.masks.push(masks::mask(field)?),
            "seed_masks" => settings.seed_masks.push(masks::mask(field)?),
            "shift_mask" | "shift_mask_fov" | "shift_mask_scale" | "shift_mask_threshold" => {}
            "init_segmentation" => settings.init_segmentation = Some(volume(field)?),
            "reference_histogram" | "histogram_masks" => {
                self.notes.push(format!("{} has no effect, as in google/ffn", field.name()));
            }
            "model_checkpoint_path_list" | "self_prediction" => {
                return Err(field.wrong("is a field of google/ffn that is not supported"));
            }
            _ => return Err(field.wrong("is not a field of InferenceRequest")),
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_compute::ffn::seed::SeedPolicy;
    use exavox_compute::ffn::{Family, Padding, SeedUpdate};

    use super::*;

    const PUBLISHED: &str = r#"
        # Settings published with the FIB-25 weights.
        image { hdf5: "images/grayscale.h5:raw" }
        image_mean: 128
        image_stddev: 33
        checkpoint_interval: 1800
        seed_policy: "PolicyPeaks"
        model_checkpoint_path: "models/fib25/model.ckpt-27465036"
        model_name: "convstack_3d.ConvStack3DFFNModel"
        model_args: "{\"depth\": 12, \"fov_size\": [33, 35, 37], \"deltas\": [8, 7, 6]}"
        segmentation_output_dir: "results/fib25/"
        inference_options {
          init_activation: 0.95
          pad_value: 0.05
          move_threshold: 0.9
          min_boundary_dist { x: 1 y: 2 z: 3}
          segment_threshold: 0.6
          min_segment_size: 1000
        }
    "#;

    #[test]
    fn published_request_is_understood_and_xyz_reversed() {
        let request = Request::parse(PUBLISHED, "r.pbtxt").unwrap();
        assert_eq!(request.image.as_deref(), Some("images/grayscale.h5:raw"));
        assert_eq!(request.settings.architecture.depth, Some(12));
        assert_eq!(request.settings.model.fov_zyx, [37, 35, 33]);
        assert_eq!(request.settings.model.deltas_zyx, [6, 7, 8]);
        assert_eq!(request.settings.inference.min_boundary_dist_zyx, [3, 2, 1]);
        assert_eq!(request.settings.inference.disco_seed_threshold, 0.0);
        assert_eq!(request.settings.inference.min_segment_size, 1000);
        assert_eq!(request.notes.len(), 1);
    }

    #[test]
    fn networks_of_jax_are_understood() {
        let of = |name: &str, args: &str| {
            let text = PUBLISHED.replace("ConvStack3DFFNModel", name);
            let (start, end) =
                (text.find("model_args").unwrap(), text.find("segmentation_output").unwrap());
            let args = format!("model_args: '{args}'\n");
            Request::parse(&[&text[..start], &args, &text[end..]].concat(), "r.pbtxt")
        };
        let args = r#"{"depth": 20, "padding": "valid", "use_layernorm": true, "features": [8, 4],
            "additive_seed_update": true, "dim": 3}"#;
        let args = args.replace('\n', " ");
        let said = of("connectomics.jax.models.convstack.ResConvStack", &args).unwrap();
        let said = said.settings.architecture;
        assert_eq!((said.family, said.depth), (Some(Family::ResConvStack), Some(20)));
        assert_eq!((said.padding, said.update), (Some(Padding::Valid), Some(SeedUpdate::Additive)));
        assert_eq!((said.features, said.layer_norm), (Some(vec![8, 4]), Some(true)));
        // What is left out is as in Python.
        let said = of("ResConvStack", "{}").unwrap().settings.architecture;
        assert_eq!((said.depth, said.layer_norm, said.padding), (Some(12), Some(true), None));
        let error = of("ConvStack3DFFNModel", &args).unwrap_err().to_string();
        assert!(error.contains("padding is not an argument of ConvStack3DFFNModel"), "{error}");
        let error = of("ResConvStack", r#"{"dim": 2}"#).unwrap_err().to_string();
        assert!(error.contains("expected dim 3"), "{error}");
        let error = of("ResConvNeXtStack", "{}").unwrap_err().to_string();
        assert!(error.contains("expected 'ConvStack3DFFNModel' or 'ResConvStack'"), "{error}");
    }

    #[test]
    fn unknown_unsupported_and_missing_fields_are_named() {
        let with = |extra: &str| {
            Request::parse(&format!("{PUBLISHED}\n{extra}"), "r.pbtxt").unwrap_err().to_string()
        };
        assert!(with("colour: 3").contains("colour is not a field"));
        let error = with("self_prediction { }");
        assert!(error.contains("self_prediction is a field of google/ffn that is not supported"));
        let without = PUBLISHED.replace("pad_value: 0.05", "");
        let error = Request::parse(&without, "r.pbtxt").unwrap_err().to_string();
        assert!(error.contains("pad_value is missing"), "{error}");
        let error = with("inference_options { oops: 1 pad_value: 1 }");
        assert!(error.contains("line 21"), "{error}");
    }

    fn request(extra: &str) -> Result<SegmentSettings> {
        let published = PUBLISHED.replace("seed_policy: \"PolicyPeaks\"", "");
        let policy = if extra.contains("seed_policy:") { "" } else { "seed_policy: 'PolicyPeaks'" };
        Request::parse(&format!("{published}{policy}\n{extra}"), "r.pbtxt").map(|r| r.settings)
    }

    #[test]
    fn policies_and_their_arguments_are_understood() {
        let policy = |text: &str| request(text).map(|settings| settings.seeds);
        let dense = |threshold| SeedPolicy::Dense { threshold, num_erosions: 1, invert: false };
        assert_eq!(
            policy(r#"seed_policy_args: '{"threshold": 0.25, "num_erosions": 1}' seed_policy: "PolicyDenseSeeds""#)
                .unwrap(),
            Seeds::Policy(dense(0.25))
        );
        let reversed = r#"seed_policy: "seed.ReverseCoords"
            seed_policy_args: '{"policy_to_reverse": "PolicyDenseSeeds", "num_erosions": 1}'"#;
        let expected = SeedPolicy::Reverse(Box::new(dense(0.5)));
        assert_eq!(policy(reversed).unwrap(), Seeds::Policy(expected));
        let sequence = r#"seed_policy: "SequentialPolicies" seed_policy_args:
            '{"policies": [["PolicyImagePeaks3D2D", {"min_distance_2d": -1}], ["PolicyMax", {}]]}'"#;
        let peaks = SeedPolicy::ImagePeaks3d2d { min_distance_2d: None, min_distance_3d: Some(4) };
        let expected = SeedPolicy::Sequence(vec![peaks, SeedPolicy::Max]);
        assert_eq!(policy(sequence).unwrap(), Seeds::Policy(expected));
        for (text, expected) in [
            ("seed_policy: 'ManualSeedPolicy'", "'ManualSeedPolicy' is not supported"),
            ("seed_policy: 'PolicyMax' seed_policy_args: '{\"step\": 1}'", "does not take step"),
            ("seed_policy: 'PolicyMax' seed_policy_args: '{\"reverse\": true}'", "reverse"),
            ("seed_policy: 'PolicyMax' seed_policy_args: '{'", "JSON"),
            ("seed_policy: 'ReverseCoords'", "policy_to_reverse"),
            (
                "seed_policy: 'PolicyInvertOrigins' seed_policy_args: '{\"segmentation_dir\": \"gone\"}'",
                "gone",
            ),
        ] {
            let error = policy(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("r.pbtxt"), "{text}: {error}");
        }
    }

    #[test]
    fn masks_are_understood() {
        let settings = request(
            r#"masks { volume { mask { hdf5: "m.h5:mask" } channels { channel: 1 values: [3, 4] } } invert: true }
            masks { coordinate_expression { expression: "(z < 3) & (x > 4)" } }
            seed_masks { image { channels { channel: 0 min_value: 2.5 max_value: 7 invert: true } } }
            init_segmentation { hdf5: "s.h5:seg" }
            shift_mask { hdf5: "shift.h5:xy" } shift_mask_scale: 4 shift_mask_threshold: 5
            shift_mask_fov { start { x: -1 y: -2 z: 0 } size { x: 3 y: 5 z: 1 } }"#,
        )
        .unwrap();
        let channel = &settings.masks[0].channels.as_ref().unwrap()[0];
        assert_eq!((channel.channel, channel.values.as_slice()), (1, &[3, 4][..]));
        assert!(
            settings.masks[0].invert && settings.masks[0].volume.as_deref() == Some("m.h5:mask")
        );
        assert_eq!(settings.masks[1].expression.as_deref(), Some("(z < 3) & (x > 4)"));
        let channel = &settings.seed_masks[0].channels.as_ref().unwrap()[0];
        assert_eq!((channel.min_value, channel.max_value), (Some(2.5), Some(7.0)));
        assert!(settings.seed_masks[0].image && channel.invert);
        let shifts = settings.shift_mask.as_ref().unwrap();
        assert_eq!((shifts.scale, shifts.threshold), (4, 5.0));
        assert_eq!(
            (shifts.fov_start_zyx, shifts.fov_size_zyx),
            (Some([0, -2, -1]), Some([1, 5, 3]))
        );
        assert_eq!(settings.init_segmentation.as_deref(), Some("s.h5:seg"));
        for (text, expected) in [
            ("masks { }", "names no source"),
            ("masks { coordinate_expression { expression: 'exec(1)' } }", "'exec' is not known"),
            ("masks { volume { channels { } } }", "names no mask"),
            ("masks { volume { mask { tensorstore: '{}' } } }", "tensorstore is not supported"),
            ("shift_mask { hdf5: 'a:b' }", "shift_mask_scale is missing"),
            ("shift_mask_scale: 3", "shift_mask is missing"),
            (
                "shift_mask { hdf5: 'a:b' } shift_mask_scale: 0 shift_mask_threshold: 1",
                "shift_mask: scale: expected 1 to",
            ),
        ] {
            let error = request(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("r.pbtxt"), "{text}: {error}");
        }
    }

    #[test]
    fn damaged_text_is_an_error_with_a_line() {
        for text in ["image {", "image_mean 3", "seed_policy: \"x", "a: [1, 2", "\n\n: 3"] {
            let error = Request::parse(text, "r.pbtxt").unwrap_err().to_string();
            assert!(error.contains("r.pbtxt"), "{text}: {error}");
        }
    }
}
