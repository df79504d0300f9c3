//! `exavox bench`: the same work by many implementations, side by side.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use exavox_compute::machine::Roofline;
use exavox_pipeline::bench::{
    Budget, Case, Group, Machine, Section, Table, all_groups, chart, csv, find_group, write_inputs,
};

use self::children::Children;
use crate::context::{Context, all_cores};
use crate::exit_status::ExitStatus;
use crate::values;

mod children;

/// Measure implementations of the same work side by side: naive loop, ndarray, SIMD on one core and on
/// all, burn, devices, and the limit of this machine.
///
/// Groups are projection, flood, components, distance, gaussian and ffn; without GROUP all are measured.
/// Of a group with several inputs, GROUP/CASE takes one: distance/few-zeros. Inputs are made by the program and the same each time. Each row runs in a process of its own, whose peak of memory
/// counts from the moment when its inputs are read; one run comes before those that count. The limit
/// is what reading the input, writing the output and multiply-adds take at least, measured just before
/// on one core and on all. Rows that cannot run here are listed with the reason.
///
/// Only ratios within one run count: machines differ, and drift.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Voxels of the inputs along z, y and x [default: the group's].
    #[arg(long, value_name = "Z,Y,X", value_parser = values::shape_zyx)]
    size: Option<[u64; 3]>,
    /// Small inputs and few runs: a look, no measurement.
    #[arg(long)]
    quick: bool,
    /// Write the table as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the table as a chart.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measure other programs too: a Python that has benches/peers/compute-requirements.txt.
    #[arg(long, value_name = "PYTHON")]
    peers: Option<PathBuf>,
    /// The script that measures them.
    #[arg(long, value_name = "FILE", default_value = "benches/peers/compute.py")]
    #[arg(requires = "peers")]
    peers_script: PathBuf,
}

/// Measures, and prints the table.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let groups = groups(&args.groups)?;
    check_paths(&args)?;
    let folder = tempfile::tempdir().context("a folder for the inputs could not be made")?;
    let bench = Bench { args: &args, context, folder: folder.path() };
    let mut sections = Vec::new();
    for (group, cases) in groups {
        for case in cases {
            sections.push(bench.section(group, case)?);
        }
    }
    let table = Table::new(sections);
    context.printer.answer(&table)?;
    if let Some(path) = &args.csv {
        write(path, &csv(&table)?)?;
    }
    if let Some(path) = &args.svg {
        write(path, chart(&table).as_bytes())?;
    }
    for (section, row) in table.disagreeing() {
        let (group, case, name) = (section.group, section.case, row.outcome.name());
        context.printer.warning(&format!("{group} {case}: {name} has another output"));
    }
    let right = table.disagreeing().next().is_none();
    Ok(if right { ExitStatus::Done } else { ExitStatus::Incomplete })
}

/// Says what is missing before minutes are spent.
fn check_paths(args: &Args) -> anyhow::Result<()> {
    let script = &args.peers_script;
    if args.peers.is_some() && !script.is_file() {
        let script = script.display();
        bail!(
            "--peers-script {script}: no such file; it is among the sources of exavox: run there, or name it"
        );
    }
    for path in args.csv.iter().chain(&args.svg) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            bail!("{}: no such folder: {}", path.display(), parent.display());
        }
    }
    Ok(())
}

fn groups(names: &[String]) -> anyhow::Result<Vec<(&'static dyn Group, &'static [Case])>> {
    if names.is_empty() {
        return Ok(all_groups().map(|group| (group, group.cases())).to_vec());
    }
    names.iter().map(|name| Ok(find_group(name)?)).collect()
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

struct Bench<'a> {
    args: &'a Args,
    context: &'a Context,
    folder: &'a Path,
}

impl Bench<'_> {
    fn section(&self, group: &dyn Group, case: &Case) -> anyhow::Result<Section> {
        let (name, shape) = (format!("{} {}", group.name(), case.name), self.shape(case)?);
        self.context.printer.note(&format!("{name}: making inputs"));
        let folder = self.folder.join(format!("{}-{}", group.name(), case.name));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        write_inputs(group, case, shape, &folder)?;
        let machine = self.machine()?;
        let children = Children {
            group: group.name(),
            case: case.name,
            folder: &folder,
            budget: self.budget(),
            context: self.context,
        };
        let mut outcomes = Vec::new();
        for implementation in group.implementations() {
            let threads = implementation.threads(self.context.threads);
            if implementation.repeats_one_core(self.context.threads) {
                continue;
            }
            let row = implementation.name;
            self.context.printer.note(&format!("{name}: {row}, threads: {threads}"));
            outcomes.push(children.measure(&implementation));
        }
        if let Some(python) = &self.args.peers {
            self.context.printer.note(&format!("{name}: peers"));
            outcomes.extend(children.measure_peers(python, &self.args.peers_script));
        }
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Section::new(group, case, shape, machine, outcomes))
    }

    fn shape(&self, case: &Case) -> anyhow::Result<[usize; 3]> {
        let default = if self.args.quick { case.quick_shape } else { case.shape };
        let Some(shape) = self.args.size else { return Ok(default) };
        let too_large = || format!("--size {shape:?}: more voxels than this machine can count");
        shape.iter().try_fold(1_u64, |n, s| n.checked_mul(*s)).with_context(too_large)?;
        Ok(shape.map(|v| v as usize))
    }

    fn budget(&self) -> Budget {
        match self.args.quick {
            true => Budget { time: Duration::from_millis(500), runs: 3 },
            false => Budget { time: Duration::from_secs(4), runs: 25 },
        }
    }

    /// Limits on one thread and on all, measured now: other work on the machine changes them.
    fn machine(&self) -> anyhow::Result<Machine> {
        let budget = self.budget().time / 4;
        let threads = self.context.threads;
        let one = limits_on(NonZeroUsize::MIN, budget)?;
        Ok(Machine::new(one, limits_on(threads, budget)?, threads.get(), all_cores().get()))
    }
}

fn limits_on(threads: NonZeroUsize, budget: Duration) -> anyhow::Result<Roofline> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build()?;
    Ok(pool.install(|| Roofline::measure(budget))?)
}
