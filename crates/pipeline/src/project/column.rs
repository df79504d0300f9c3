//! The projection of one box of a channel, in memory that does not grow with its depth.

use exavox_compute::ops::projection::{CpuEngine, ProjectionEngine, ProjectionKind};
use exavox_io::trace::{Activity, span};
use exavox_io::{Axis, BoundingBox, Volume, Voxels};

use super::plan::{Cutting, Plan};
use super::run::block_of;
use crate::error::{Error, Result};

/// A box of a channel, to be projected by one thread on the CPU.
pub(crate) struct Column<'a> {
    pub(crate) source: &'a Volume,
    pub(crate) channel: usize,
    pub(crate) kind: ProjectionKind,
    pub(crate) axis: Axis,
    pub(crate) region: BoundingBox,
    /// Bytes that cells may keep while they are made.
    pub(crate) tile_bytes: u64,
}

impl Column<'_> {
    /// The projection: the region's shape with 1 on the axis.
    pub(crate) fn project(&self) -> Result<Voxels> {
        let a = self.axis.zyx_index().unwrap_or(0);
        let (dtype, planes) = (self.source.metadata().dtype, self.region.shape()[a] as usize);
        let plan = Plan::new(
            self.source.metadata(),
            &Cutting {
                axis: self.axis,
                region: self.region,
                block_bytes: CpuEngine.block_bytes() as u64,
                cell_bytes: self.kind.bytes_per_cell(dtype, planes) as u64,
                tile_bytes: self.tile_bytes,
            },
        );
        let mut shape = self.region.shape().map(|v| v as usize);
        shape[a] = 1;
        let mut out = Voxels::zeros(self.kind.output_dtype(dtype, planes), shape)?;
        let mut buffer = None;
        for (band, tile) in (0..plan.bands()).flat_map(|b| (0..plan.tiles()).map(move |t| (b, t))) {
            let tile = plan.tile(band, tile);
            let made = project_tile(self, &CpuEngine, &plan, tile, &mut buffer)?;
            let made = made.ok_or_else(|| {
                Error::settings(self.source.name(), "the CPU did not project a tile")
            })?;
            let at = plan.projected(&tile).start.map(|v| v as usize);
            out.copy_box(at, &made, &BoundingBox::whole(made.shape().map(|v| v as u64)))?;
        }
        Ok(out)
    }
}

/// Projects a tile of a column's channel; `None` if the engine does not do that.
pub(super) fn project_tile(
    column: &Column<'_>,
    engine: &dyn ProjectionEngine,
    plan: &Plan,
    tile: BoundingBox,
    buffer: &mut Option<Voxels>,
) -> Result<Option<Voxels>> {
    let dtype = column.source.metadata().dtype;
    let shape = tile.shape().map(|v| v as usize);
    let Some(mut projection) = engine.begin(column.kind, dtype, column.axis, shape)? else {
        return Ok(None);
    };
    for step in plan.steps(tile) {
        let block = block_of(buffer, dtype, step.shape().map(|v| v as usize))?;
        column.source.read_into(column.channel, &step, block)?;
        let _span = span(Activity::Compute, step.start);
        projection.push(block)?;
    }
    let _span = span(Activity::Compute, tile.start);
    Ok(Some(projection.finish()?))
}
