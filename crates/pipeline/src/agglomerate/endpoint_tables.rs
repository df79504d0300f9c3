//! The tables of endpoints: their columns, and their files.

use std::path::Path;

use exavox_io::volume::WriteMode;

use super::files::Files;
use super::work::Work;
use super::{EndpointRecord, ExtensionRecord};
use crate::error::Result;
use crate::table::{Column, TableFormat, table_bytes};

/// The two tables, that of covered segments first: where that of endpoints is, the other is too.
pub(super) struct Tables {
    format: TableFormat,
    files: Files<2>,
}

impl Tables {
    /// Refuses what is there already, so that a long run does not fail at its end.
    pub(super) fn create(target: &Path, mode: WriteMode) -> Result<Self> {
        let format = TableFormat::of(target);
        let stem = target.file_stem().unwrap_or_default().to_string_lossy();
        let covered = target.with_file_name(format!("{stem}.covered.{}", format.suffix()));
        Ok(Self { format, files: Files::create([covered, target.to_owned()], mode)? })
    }

    /// Where the table of covered segments will be.
    pub(super) fn covered(&self) -> &Path {
        &self.files.paths[0]
    }

    /// Writes both, not yet into their places.
    pub(super) fn write(&self, work: &Work, records: &[EndpointRecord], unit: &str) -> Result<()> {
        let [covered, endpoints] = &self.files.paths;
        let covered = table_bytes(covered, self.format, &covered_columns(records))?;
        let endpoints = table_bytes(endpoints, self.format, &endpoint_columns(records, unit))?;
        self.files.write(work, [&covered, &endpoints])
    }

    /// Refuses what has appeared in their places since.
    pub(super) fn check(&self) -> Result<()> {
        self.files.check()
    }

    /// Puts both into place.
    pub(super) fn commit(&self, work: &Work) -> Result<()> {
        self.files.commit(work)
    }
}

/// A line for each endpoint; `unit`: that of distances.
fn endpoint_columns(records: &[EndpointRecord], unit: &str) -> Vec<Column> {
    let whole = |name, of: &dyn Fn(&EndpointRecord) -> u64| {
        Column::whole(name, records.iter().map(|record| Some(of(record))))
    };
    let of_run = |name, of: &dyn Fn(&ExtensionRecord) -> u64| {
        Column::whole(name, records.iter().map(|record| record.run.as_ref().map(of)))
    };
    let number = |name, decimals, of: &dyn Fn(&ExtensionRecord) -> f64| {
        let values = records.iter().map(|record| record.run.as_ref().map(of));
        Column::number(name, Some(decimals), values)
    };
    let runs = || records.iter().map(|record| record.run.as_ref());
    let largest = || runs().map(|run| run.and_then(|run| run.covered.first()));
    let [z, y, x] = [0, 1, 2];
    vec![
        whole("id", &|r| r.endpoint.id),
        whole("z", &|r| r.endpoint.point_zyx[z]).in_unit("voxels"),
        whole("y", &|r| r.endpoint.point_zyx[y]).in_unit("voxels"),
        whole("x", &|r| r.endpoint.point_zyx[x]).in_unit("voxels"),
        Column::flag("recovered", runs().map(|run| run.map(|run| run.recovered))),
        Column::text("reason", records.iter().map(|record| record.stopped.clone())),
        number("recovered_share", 4, &|run| run.recovered_share),
        of_run("segment_voxels", &|run| run.segment_voxels),
        of_run("run_voxels", &|run| run.voxels),
        of_run("grown_voxels", &|run| run.grown_voxels),
        of_run("empty_voxels", &|run| run.empty_voxels),
        of_run("covered_segments", &|run| run.covered.len() as u64),
        Column::whole("covered_id", largest().map(|other| other.map(|other| other.id))),
        Column::number("covered_share", Some(4), largest().map(|other| other.map(|o| o.share))),
        of_run("deleted_voxels", &|run| run.deleted_voxels),
        number("max_edt_run", 2, &|run| run.max_edt).in_unit(unit),
        of_run("seed_z", &|run| run.seed_zyx[z]).in_unit("voxels"),
        of_run("seed_y", &|run| run.seed_zyx[y]).in_unit("voxels"),
        of_run("seed_x", &|run| run.seed_zyx[x]).in_unit("voxels"),
        of_run("attempts", &|run| run.attempts),
        whole("steps", &|r| r.steps),
        Column::number("seconds", Some(3), records.iter().map(|r| Some(r.seconds))).in_unit("s"),
    ]
}

/// A line for each other segment that a run covers.
fn covered_columns(records: &[EndpointRecord]) -> Vec<Column> {
    let all = || {
        records.iter().flat_map(|record| {
            let others = record.run.iter().flat_map(|run| &run.covered);
            others.map(move |other| (record.endpoint, *other))
        })
    };
    let at = |axis: usize| all().map(move |(endpoint, _)| Some(endpoint.point_zyx[axis]));
    vec![
        Column::whole("id", all().map(|(endpoint, _)| Some(endpoint.id))),
        Column::whole("z", at(0)).in_unit("voxels"),
        Column::whole("y", at(1)).in_unit("voxels"),
        Column::whole("x", at(2)).in_unit("voxels"),
        Column::whole("covered_id", all().map(|(_, other)| Some(other.id))),
        Column::whole("covered_voxels", all().map(|(_, other)| Some(other.voxels))),
        Column::number("covered_share", Some(4), all().map(|(_, other)| Some(other.share))),
    ]
}
