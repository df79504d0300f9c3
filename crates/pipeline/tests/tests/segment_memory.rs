//! Memory that a segmentation may use, on devices with and without memory of their own.

use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::{BoundingBox, DataType};
use exavox_pipeline::demo::demo_settings;
use exavox_pipeline::estimate::{Hypothetical, Work};
use exavox_pipeline::job::steps::SegmentSpec;
use exavox_pipeline::segment::{Seeds, fits_one_subvolume};

/// Bytes of a voxel of a subvolume with given seeds, and of its copy and its logits on a device.
const HERE: u64 = 22;
const ON_DEVICE: u64 = 36;

#[test]
fn a_device_in_the_memory_of_this_machine_counts() {
    let mut settings = demo_settings();
    settings.seeds = Seeds::Points(Vec::new());
    let region = BoundingBox::whole([256; 3]);
    let voxels = region.num_voxels();
    let cpu = ComputeDevice::cpu().unwrap();
    assert!(fits_one_subvolume(&region, &settings, &cpu, HERE * voxels));
    assert!(!fits_one_subvolume(&region, &settings, &cpu, HERE * voxels - 1));
    let chosen = |device: &ComputeDevice| {
        let mut spec = SegmentSpec::new("a", "b", &settings);
        spec.choose_subvolume([1000; 3], &settings, device, 4 << 30, 2).unwrap();
        spec.subvolume.iter().product::<u64>()
    };
    let on_cpu = chosen(&cpu);
    match ComputeDevice::open(DeviceSpec::CpuJit) {
        Ok((jit, _)) => {
            let all = (HERE + ON_DEVICE) * voxels;
            assert!(!fits_one_subvolume(&region, &settings, &jit, all));
            assert!(fits_one_subvolume(&region, &settings, &jit, all + (64 << 20)));
            assert!(chosen(&jit) < on_cpu / 2);
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

/// What stays on the host is not counted on the device: more than its room, and logits of networks that it has no
/// kernels for.
#[test]
fn a_device_counts_with_what_it_keeps() {
    let jit = match ComputeDevice::open(DeviceSpec::CpuJit) {
        Ok((jit, _)) => jit,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let mut settings = demo_settings();
    settings.seeds = Seeds::Points(Vec::new());
    let region = BoundingBox::whole([256; 3]);
    let here = HERE * region.num_voxels() + (64 << 20);
    let (room, roomy) = (jit.clone().with_room(Some(100 << 20)), jit.clone());
    assert!(!fits_one_subvolume(&region, &settings, &room, here));
    assert!(fits_one_subvolume(&region, &settings, &room, here + (100 << 20)));
    let chosen = |device: &ComputeDevice| {
        let mut spec = SegmentSpec::new("a", "b", &settings);
        spec.choose_subvolume([1000; 3], &settings, device, 4 << 30, 2).unwrap();
        spec.subvolume.iter().product::<u64>()
    };
    let [roomy, room, cpu] = [roomy, room, ComputeDevice::cpu().unwrap()].map(|d| chosen(&d));
    // Sizes are rounded to what cuts the volume evenly.
    assert!(roomy < room && room <= cpu, "{roomy} {room} {cpu}");
    #[cfg(feature = "train")]
    {
        use exavox_compute::ffn::{Architecture, train::initial_model};
        let folder = tempfile::tempdir().unwrap();
        for (architecture, fits) in
            [(Architecture::res_conv_stack(1, 4), true), (Architecture::conv_stack(2, 4), false)]
        {
            settings.checkpoint = folder.path().join(format!("{fits}.safetensors"));
            initial_model(&architecture, 1).unwrap().save(&settings.checkpoint).unwrap();
            assert_eq!(fits_one_subvolume(&region, &settings, &jit, here), fits, "{architecture}");
        }
    }
}

#[test]
fn a_plan_says_what_a_gpu_needs() {
    let plan = |work| Hypothetical::new(work, [10_000; 3], DataType::U8).assumptions().join("\n");
    // 512^3 voxels of one byte, and 32 bytes each for logits; 33^3 voxels of 99 floats for each of 16 steps.
    let text = plan(Work::Segment);
    assert!(text.contains("device memory: up to 4.43 GB for a subvolume"), "{text}");
    assert!(text.contains("228 MB for 16 steps at once"), "{text}");
    assert!(!plan(Work::Filter).contains("device memory"));
}
