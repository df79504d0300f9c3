//! What a training says while it runs, and at its end.

use super::super::checkpoint::Progress;
use super::super::run::TrainReport;
use super::super::validation::Validation;
use super::super::view::TrainView;
use super::Session;
use crate::progress::Event;

impl Session<'_> {
    /// What there is to tell.
    pub(in super::super) fn report(&self) -> TrainReport {
        let last = self.table.rows().last();
        TrainReport {
            complete: self.ending.is_reached(&self.progress),
            steps: self.progress.step,
            fovs: self.progress.fovs,
            labelled_voxels: self.material.labelled_voxels(),
            bad_steps: self.progress.bad_steps,
            loss: last.map(|point| point.loss),
            f1: last.map(|point| point.f1).filter(|f1| f1.is_finite()),
            seconds: self.progress.seconds,
            device: self.device.clone(),
            best: self.validation.as_ref().and_then(Validation::best),
            ..TrainReport::empty(self.folder)
        }
    }

    /// `step 300, 1200 FOVs, loss 0.41, 12.1 FOVs/s`.
    pub(super) fn note(&self) -> String {
        let Progress { step, fovs, bad_steps, .. } = self.progress;
        let rate = (fovs as f64) / self.progress.seconds.max(1e-9);
        let mut note = format!("step {step}, {fovs} FOVs, {rate:.1} FOVs/s");
        if let Some(voxels) = self.material.labelled_voxels() {
            note.push_str(&format!(", {voxels} labelled voxels"));
        }
        let last = self.table.rows().last();
        if let Some(point) = last {
            note.push_str(&format!(", loss {:.4}", point.loss));
            if point.f1.is_finite() {
                note.push_str(&format!(", F1 {:.3}", point.f1));
            }
        }
        if let Some(best) = self.validation.as_ref().and_then(Validation::best) {
            note.push_str(&format!(", best VOI {:.3} at step {}", best.voi, best.step));
        }
        if bad_steps > 0 {
            note.push_str(&format!(", {bad_steps} bad steps"));
        }
        note
    }

    fn view(&self) -> TrainView<'_> {
        let Progress { step, fovs, bad_steps, seconds, .. } = self.progress;
        TrainView {
            step,
            fovs,
            seconds,
            labelled_voxels: self.material.labelled_voxels(),
            bad_steps,
            device: &self.device,
            curve: self.table.rows(),
            validated: self.validation.as_ref().map(Validation::all).unwrap_or_default(),
        }
    }

    /// Tells the observer how far it is; `shown` is what was told before.
    pub(super) fn show(&self, shown: &mut u64) {
        let done = self.ending.done(&self.progress);
        let by = done.saturating_sub(*shown);
        *shown = done.max(*shown);
        self.observer.notify(&Event::Trained(&self.view()));
        self.observer.notify(&Event::Advanced { by, note: &self.note() });
    }
}
