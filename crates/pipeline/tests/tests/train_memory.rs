//! Memory of a training: refused before it is taken, and on devices that take it from this machine.

use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_pipeline::Silent;
use exavox_pipeline::segment::FamilyName;
use exavox_pipeline::train::{StartMode, TrainConfig, TrainRun, train};

use crate::train::{ADAM, Setup, a_run, begin, refused};

#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_taken() {
    let setup = Setup::new();
    let mut run = a_run(StartMode::CreateNew);
    let error = |config: &TrainConfig, run: &TrainRun| refused(train(config, run, &Silent));
    run.memory_bytes = 1 << 20;
    let batch = error(&setup.config("a", 2, "[optimizer]\nbatch = 512\n"), &run);
    assert!(batch.contains("for 512 examples of [11, 11, 11] voxels"), "{batch}");
    assert!(batch.contains("MiB of memory, 1 MiB may be used"), "{batch}");
    let moves = error(&setup.config("b", 2, "[moves]\nfov_moves = 16\n"), &run);
    assert!(moves.contains("examples of [71, 71, 71] voxels"), "{moves}");

    // Enough for the training alone.
    run.memory_bytes = 3 << 20;
    let validation = format!(
        "[validation]\nimage = '{}'\nlabels = '{}'\nsteps = 5\n",
        setup.path("large.npy"),
        setup.path("large.npy")
    );
    setup.write("large.npy", [40, 64, 64], vec![1_u8; 40 * 64 * 64], None);
    let region = error(&setup.config("c", 2, &validation), &run);
    assert!(region.contains("validation.roi: region 0:40,0:64,0:64 needs"), "{region}");
    // With room for hardly an example more than is needed the result is the same.
    let config = setup.config("small", 12, ADAM);
    let fits = |kib: u64| {
        let run = TrainRun { memory_bytes: kib << 10, ..a_run(StartMode::CreateNew) };
        train(&config, &run, &Silent).is_ok()
    };
    assert!((128..3 << 10).step_by(16).any(fits));
    begin(&setup.config("large", 12, ADAM)).unwrap();
    assert!(setup.weights("small", 12) == setup.weights("large", 12));
}

/// MiB that a validation of 40 x 64 x 64 voxels needs on a device.
fn validation_needs(setup: &Setup, device: &ComputeDevice, family: FamilyName) -> u64 {
    let volume = setup.path("large.npy");
    let tables =
        format!("[validation]\nimage = '{volume}'\nlabels = '{volume}'\nsteps = 5\n{ADAM}");
    let mut config = setup.config("out", 2, &tables);
    config.model.architecture = Some(family);
    let devices = vec![device.clone()];
    // Enough for the training alone.
    let run = TrainRun { memory_bytes: 5 << 20, devices, ..a_run(StartMode::Overwrite) };
    let error = refused(train(&config, &run, &Silent));
    let (_, needs) = error.split_once("region 0:40,0:64,0:64 needs ").expect(&error);
    needs.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_a_device_keeps_of_a_validation_counts_where_it_keeps_something() {
    let setup = Setup::new();
    setup.write("large.npy", [40, 64, 64], vec![1_u8; 40 * 64 * 64], None);
    let cpu = ComputeDevice::cpu().unwrap();
    let [conv, res] = [FamilyName::ConvStack, FamilyName::ResConvStack];
    // 38 bytes of each voxel.
    assert_eq!(validation_needs(&setup, &cpu, conv), 6);
    match ComputeDevice::open(DeviceSpec::CpuJit) {
        Ok((jit, _)) => {
            // 36 more, and activations of a field of view.
            assert_eq!(validation_needs(&setup, &jit, conv), 12);
            assert_eq!(validation_needs(&setup, &jit, res), 6);
            assert_eq!(validation_needs(&setup, &jit.with_room(Some(1 << 20)), conv), 7);
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}
