//! Blocks that were labelled on their own, put together again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use exavox_io::BoundingBox;
use exavox_pipeline::Silent;
use exavox_pipeline::reconcile::{
    Face, FacesWriter, GlobalIds, LinkRule, ReconcileReport, decide, edges_path, faces_path,
    overlap, report,
};
use exavox_pipeline::union::{LabelMap, MIN_MEMORY_BYTES, union};
use tempfile::TempDir;

const SHAPE: [u64; 3] = [24, 40, 56];
const OVERLAP: u64 = 8;

/// A block of labels of its own.
struct Block {
    region: BoundingBox,
    labels: Vec<u32>,
}

impl Block {
    /// The labels of a box of the volume that lies in the block.
    fn cut(&self, part: &BoundingBox) -> Vec<u32> {
        let (inside, shape) = (part.relative_to(self.region.start), self.region.shape());
        voxels(&inside)
            .map(|[z, y, x]| self.labels[((z * shape[1] + y) * shape[2] + x) as usize])
            .collect()
    }
}

fn voxels(region: &BoundingBox) -> impl Iterator<Item = [u64; 3]> {
    let BoundingBox { start, end } = *region;
    (start[0]..end[0]).flat_map(move |z| {
        (start[1]..end[1]).flat_map(move |y| (start[2]..end[2]).map(move |x| [z, y, x]))
    })
}

/// Objects of the volume: slanted bars along x with gaps, one number each.
fn truth([z, y, x]: [u64; 3]) -> u64 {
    let bar = (z / 8) * 8 + (y + x / 9) / 8;
    if z % 8 == 7 || (y + x / 9) % 8 == 7 || (bar % 3 == 1 && (20..24).contains(&x)) {
        0
    } else {
        // A bar with a gap is two objects.
        2 * bar + u64::from(bar % 3 == 1 && x >= 24) + 1
    }
}

/// Blocks with labels 1, 2, ... in an order of their own.
fn blocks(label: impl Fn(usize, [u64; 3]) -> u64) -> Vec<Block> {
    let tile = [12, 20, 28];
    let blocks = BoundingBox::whole(SHAPE).tiles(tile).enumerate().map(|(n, tile)| {
        let end = std::array::from_fn(|a| (tile.end[a] + OVERLAP).min(SHAPE[a]));
        let region = BoundingBox::new(tile.start, end);
        let found: Vec<u64> = voxels(&region).map(|voxel| label(n, voxel)).collect();
        let distinct: BTreeSet<u64> = found.iter().copied().filter(|label| *label > 0).collect();
        let count = distinct.len() as u64;
        // Ids of a block tell nothing of those of the next.
        let local: BTreeMap<u64, u32> = distinct
            .into_iter()
            .zip(0..)
            .map(|(label, i)| (label, ((i + 5 * n as u64) % count) as u32 + 1))
            .collect();
        let labels = found.iter().map(|label| local.get(label).copied().unwrap_or(0)).collect();
        Block { region, labels }
    });
    blocks.collect()
}

/// Faces, union, report; gives the labels of all voxels of all blocks in one space.
fn reconcile(blocks: &[Block], rule: &LinkRule) -> (Vec<Vec<u64>>, ReconcileReport) {
    let folder = tempfile::tempdir().unwrap();
    let ids = GlobalIds::for_blocks(blocks.len() as u64, 20 * 28 * 36).unwrap();
    let stems = write_faces(&folder, blocks, &ids, rule);
    let edges: Vec<PathBuf> = stems.iter().map(|stem| edges_path(stem)).collect();
    let output = folder.path().join("map");
    union(&edges, folder.path(), &output, MIN_MEMORY_BYTES, &Silent).unwrap();
    let map = LabelMap::open(&output).unwrap();
    let relabelled = blocks.iter().enumerate().map(|(n, block)| {
        let slice = map.range(ids.range_of_block(n as u64)).unwrap();
        let global = |local: &u32| slice.root(ids.id(n as u64, u64::from(*local)).unwrap());
        block.labels.iter().map(global).collect()
    });
    let faces: Vec<PathBuf> = stems.iter().map(|stem| faces_path(stem)).collect();
    (relabelled.collect(), report(&faces, &map, 3, folder.path(), 0).unwrap())
}

/// A file for the faces of each block with those after it.
fn write_faces(
    folder: &TempDir,
    blocks: &[Block],
    ids: &GlobalIds,
    rule: &LinkRule,
) -> Vec<PathBuf> {
    let of_block = |(n, block): (usize, &Block)| {
        let stem = folder.path().join(format!("block{n}"));
        let mut writer = FacesWriter::create(&stem).unwrap();
        for (m, other) in blocks.iter().enumerate().skip(n + 1) {
            let Some(common) = block.region.intersect(&other.region) else { continue };
            let table = overlap(&block.cut(&common), &other.cut(&common)).unwrap();
            let face = Face { blocks: [n as u64, m as u64], common };
            writer.add(ids, &face, &decide(&table, rule)).unwrap();
        }
        writer.finish().unwrap();
        stem
    };
    blocks.iter().enumerate().map(of_block).collect()
}

/// Pairs of (expected, found) labels of the blocks' voxels.
fn pairs(blocks: &[Block], found: &[Vec<u64>]) -> BTreeSet<(u64, u64)> {
    let of_block = |(block, labels): (&Block, &Vec<u64>)| {
        voxels(&block.region).map(truth).zip(labels.iter().copied()).collect::<Vec<_>>()
    };
    blocks.iter().zip(found).flat_map(of_block).collect()
}

#[test]
fn blocks_of_a_volume_give_its_objects_back() {
    let blocks = blocks(|_, voxel| truth(voxel));
    for rule in [LinkRule { min_voxels: 1, ..LinkRule::default() }, LinkRule::any_voxel()] {
        let (found, report) = reconcile(&blocks, &rule);
        let pairs = pairs(&blocks, &found);
        let objects: BTreeSet<u64> = pairs.iter().map(|pair| pair.0).collect();
        let labels: BTreeSet<u64> = pairs.iter().map(|pair| pair.1).collect();
        assert!(objects.len() > 20, "{objects:?}");
        assert_eq!((pairs.len(), labels.len()), (objects.len(), objects.len()));
        assert!(pairs.contains(&(0, 0)));
        assert!(report.links > 0 && report.refusals == Default::default(), "{report:?}");
        assert_eq!(report.sets.largest.len(), 3);
    }
}

#[test]
fn a_merge_in_one_block_does_not_spread_and_is_flagged() {
    // Block 0 takes two neighbouring bars for one.
    let merged = [truth([8, 0, 0]), truth([8, 8, 0])];
    let label = |block: usize, voxel: [u64; 3]| match truth(voxel) {
        found if block == 0 && found == merged[1] => merged[0],
        found => found,
    };
    let blocks = blocks(label);
    let rule = LinkRule { min_voxels: 20, ..LinkRule::default() };
    let (found, report) = reconcile(&blocks, &rule);
    assert!(report.refusals.conflicts > 0, "{report:?}");
    // In the other blocks the two stay two.
    assert_eq!(labels_of(merged, &blocks[1..], &found[1..]).len(), 2);
    // The place is one where block 0 and another have the two.
    for conflict in &report.conflicts {
        assert!(merged.contains(&truth(conflict.place_zyx)), "{conflict:?}");
        assert_ne!(conflict.labels[0], conflict.labels[1], "{conflict:?}");
        assert!(
            blocks[0].region.contains(&BoundingBox::from_start_shape(conflict.place_zyx, [1; 3]))
        );
    }
    // Where contact is enough, the error joins them everywhere: the rule is what keeps them apart.
    let (found, _) = reconcile(&blocks, &LinkRule::any_voxel());
    assert_eq!(labels_of(merged, &blocks[1..], &found[1..]).len(), 1);
}

/// The labels that some objects have in some blocks.
fn labels_of(objects: [u64; 2], blocks: &[Block], found: &[Vec<u64>]) -> BTreeSet<u64> {
    let pairs = pairs(blocks, found);
    pairs.into_iter().filter(|pair| objects.contains(&pair.0)).map(|pair| pair.1).collect()
}

#[test]
fn thin_contact_is_refused_and_counted() {
    let blocks = blocks(|_, voxel| truth(voxel));
    let rule = LinkRule { min_voxels: 1_000_000, ..LinkRule::default() };
    let (found, report) = reconcile(&blocks, &rule);
    assert_eq!((report.links, report.sets.sets), (0, 0));
    assert!(report.refusals.too_small > 0);
    let labels: BTreeSet<u64> = found.concat().into_iter().collect();
    let local: usize =
        blocks.iter().map(|b| b.labels.iter().collect::<BTreeSet<_>>().len() - 1).sum();
    assert_eq!(labels.len(), local + 1);
}
