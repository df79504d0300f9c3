//! A segmentation on a real Slurm: subvolumes on three nodes, one of which loses its power and one its network,
//! to one label space; and what is made of the labels.

use std::fs;

use exavox_io::{BoundingBox, Volume};
use exavox_pipeline::demo::{demo_network, synthetic};

use crate::harness::Folder;
use crate::lab::{Lab, wait_until};
use crate::slurm::{HELD, is_done, tree, write_plans, write_program};

/// Shape of the image: 32 subvolumes, in 12 shards.
const SHAPE: [usize; 3] = [72, 112, 40];

const STEPS: &str = "[[step]]
run = 'segment'
source = '../image.npy'
target = 'labels.zarr'
subvolume = [32, 40, 28]
overlap = [16, 16, 16]
levels = 1
[step.layout]
chunk = [16, 32, 16]
[step.model]
checkpoint = '../network.safetensors'
fov_zyx = [13, 13, 13]
deltas_zyx = [4, 4, 4]
[step.inference]
image_mean = 120.0
image_stddev = 55.0
disco_seed_threshold = -1.0
min_segment_size = 100
[step.link]
min_voxels = 20
[[step]]
run = 'components'
source = '../image.npy'
target = 'objects.zarr'
range = '150:255'
layout = { chunk = [16, 32, 16], block = [16, 32, 32] }
[[step]]
run = 'evaluate'
source = 'labels.zarr'
truth = 'objects.zarr'
target = 'figures.json'
";

/// All that the plan makes, beside the job's own folder, and reports and counters that say how long it took.
const MADE: [&str; 4] = ["labels.zarr", "labels.segments.csv", "objects.zarr", "figures.json"];

fn write_inputs(folder: &Folder) {
    let made = synthetic(SHAPE, 1).unwrap();
    folder.write("image.npy", SHAPE, made.channels[0].as_slice::<u8>().unwrap().to_vec());
    demo_network().save(&folder.join("network.safetensors")).unwrap();
}

fn assert_same(folder: &Folder) {
    for name in MADE {
        let [cluster, local] = ["cluster", "local"].map(|place| folder.join(place).join(name));
        assert!(local.exists(), "{name}: {:?}", fs::read_dir(folder.join("local")).unwrap());
        assert!(tree(&cluster) == tree(&local), "{name}");
    }
}

#[test]
fn power_and_network_cuts_change_no_label() {
    let Some(lab) = Lab::start() else { return };
    let folder = Folder::in_memory();
    let program = write_program(&folder, "1.infer", HELD);
    write_plans(&folder, &program, 2, STEPS);
    write_inputs(&folder);
    folder.run(&["run", "local/plan.toml"]).done();
    let labels = Volume::open(&folder.join("local/labels.zarr").display().to_string()).unwrap();
    let labels = labels.read(0, &BoundingBox::whole(SHAPE.map(|n| n as u64))).unwrap();
    let labels = labels.to_labels().unwrap();
    assert!(labels.iter().any(|label| *label != 0), "nothing is segmented");

    let plan = folder.join("cluster/plan.toml").display().to_string();
    lab.exavox(&["submit", &plan, "--engine", "slurm"]).done();
    let held = |node: &str| folder.join(&format!("held-{node}"));
    wait_until("a task is held on n2 and on n3", || held("n2").exists() && held("n3").exists());
    assert!(!is_done(&folder, "1.infer") && !folder.join("too-fast").exists());
    // Subvolumes are lost half done on n2; those of n3 are done twice.
    lab.power_off("n2");
    lab.unplug("n3");
    wait_until("n2 is given up", || {
        lab.slurm(&["sinfo", "--noheader", "--Node", "--format=%N %t"]).contains("n2 down")
    });
    lab.power_on("n2");
    wait_until("other nodes have segmented it all", || is_done(&folder, "1.infer"));
    // The ghost commits while faces are counted and labels joined.
    fs::remove_file(held("n3")).unwrap();
    wait_until("the ghost ends", || folder.join("ended-n3").exists());
    lab.plug("n3");
    wait_until("the job is complete", || is_done(&folder, "3.scores"));
    assert_same(&folder);
    folder.run(&["verify", "cluster/plan.job"]).done();
}
