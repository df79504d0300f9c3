//! An estimate as a table.

use std::fmt;

use super::quantity::{amount, bytes, count, duration, flop, money, percent, plural, three_digits};
use super::scaling::ScalingRow;
use super::{Estimate, StageEstimate, Totals};

const HEAD: [&str; 13] = [
    "stage",
    "blocks",
    "shards",
    "blocks each",
    "arrays",
    "read",
    "written",
    "operations",
    "memory",
    "at once",
    "ideal",
    "simulated",
    "busy",
];

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).to_vec()];
        rows[0].push("bound by".to_owned());
        rows.extend(self.stages.iter().map(stage_row));
        rows.push(total_row(&self.totals));
        write_table(f, &rows)?;
        let (totals, cluster) = (&self.totals, &self.cluster);
        write!(
            f,
            "{} of {}: {} simulated, {} ideal, slots busy {}; {} node-hours",
            plural(cluster.nodes, "node"),
            plural(cluster.slots_per_node, "slot"),
            duration(totals.simulated_seconds),
            duration(totals.ideal_seconds),
            percent(totals.efficiency),
            amount(totals.node_hours)
        )?;
        if let Some(cost) = totals.cost {
            write!(f, ", cost {}", money(cost))?;
        }
        if let Some(energy) = totals.kilowatt_hours {
            write!(f, ", {} kWh", amount(energy))?;
        }
        let lost: f64 = self.stages.iter().map(|s| s.lost_slot_seconds).sum();
        writeln!(
            f,
            "\n{} failures of nodes, {} slot-hours of work done again; ledger {}",
            count(totals.failures),
            amount(lost / 3600.0),
            bytes(totals.ledger_bytes.into())
        )?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

fn stage_row(stage: &StageEstimate) -> Vec<String> {
    vec![
        stage.name.clone(),
        count(stage.blocks),
        count(stage.shards),
        count(stage.blocks_per_shard),
        count(stage.arrays),
        bytes(stage.read_bytes),
        bytes(stage.written_bytes),
        operations(stage.flop),
        bytes(stage.memory_bytes_per_block.into()),
        count(stage.blocks_at_once_per_node),
        duration(stage.ideal_seconds),
        duration(stage.simulated_seconds),
        percent(stage.efficiency),
        stage.bound_by.to_string(),
    ]
}

fn total_row(totals: &Totals) -> Vec<String> {
    let empty = String::new;
    vec![
        "all".to_owned(),
        count(totals.blocks),
        count(totals.shards),
        empty(),
        empty(),
        bytes(totals.read_bytes),
        bytes(totals.written_bytes),
        operations(totals.flop),
        empty(),
        empty(),
        duration(totals.ideal_seconds),
        duration(totals.simulated_seconds),
        percent(totals.efficiency),
        empty(),
    ]
}

fn operations(operations: f64) -> String {
    if operations > 0.0 { flop(operations) } else { "-".to_owned() }
}

/// The first and the last column to the left, the others to the right.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    for row in rows {
        let cells =
            row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                c if c + 1 == columns => cell.clone(),
                _ => format!("{cell:>width$}"),
            });
        writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Rows of [`compare_nodes`](super::compare_nodes) as a table.
pub struct ScalingTable<'a>(pub &'a [ScalingRow]);

impl fmt::Display for ScalingTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["nodes", "ideal", "simulated", "speedup", "busy", "cost"];
        let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.0.iter().map(|row| {
            vec![
                count(row.nodes),
                duration(row.ideal_seconds),
                duration(row.simulated_seconds),
                three_digits(row.speedup),
                percent(row.efficiency),
                row.cost.map_or("-".to_owned(), money),
            ]
        }));
        write_table(f, &rows)
    }
}
