//! How busy cores and devices were, as the system and the driver tell it.

use std::process::{Child, Command, Stdio};

/// Ticks of a second in `/proc`, which Linux promises to programs whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Time that all threads of this process have spent on cores, in seconds, to a hundredth; `None`
/// where the system is not Linux.
pub(super) fn process_cpu_seconds() -> Option<f64> {
    cpu_seconds(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field, the program's name in brackets, may hold spaces and brackets.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// Makes the peak of this process' memory what it holds now, where Linux allows it.
pub(super) fn forget_peak_memory() {
    // A system that does not know this file counts from the start of the process: more, never less.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Asks NVIDIA's driver again and again how busy a GPU is.
pub(super) struct GpuSampler(Child);

impl GpuSampler {
    /// Begins to ask; `None` if the driver's program is not there.
    pub(super) fn start(gpu: usize) -> Option<Self> {
        Command::new("nvidia-smi")
            .args(["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"])
            .args([format!("--id={gpu}"), "--loop-ms=50".to_owned()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()
            .map(Self)
    }

    /// Mean of what the driver said since the start, 0 to 1.
    pub(super) fn finish(mut self) -> Option<f64> {
        // It may have ended by itself; its output tells.
        let _ = self.0.kill();
        let output = self.0.wait_with_output().ok()?;
        mean_percent(&String::from_utf8_lossy(&output.stdout))
    }
}

fn mean_percent(lines: &str) -> Option<f64> {
    let values: Vec<f64> = lines.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.into_iter().sum::<f64>() / count / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_lines_are_averaged() {
        assert_eq!(mean_percent("40\n 60 \n[N/A]\n"), Some(0.5));
        assert_eq!(mean_percent("No devices were found\n"), None);
    }

    #[test]
    fn user_and_system_time_count() {
        let stat = "7 (a b) c) R 1 7 7 0 -1 4 5 0 0 0 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) R 1"), None);
    }
}
