//! A pattern of files as the output of a volume. All files appear together when the volume is finished.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::format_of;
use super::pattern::{Fields, Pattern};
use super::sink::FileSink;
use crate::error::{Error, Place, Result};
use crate::format::plane_source::planes_of;
use crate::volume::{WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

/// One file per channel, or one per channel and plane.
pub(super) struct PatternWriter {
    /// In order of (channel, z).
    files: Vec<Mutex<FileSink>>,
    /// What each file of a channel holds.
    options: Vec<WriteOptions>,
    planes_per_file: u64,
    shape: [u64; 3],
}

impl PatternWriter {
    /// Reserves all files; none is opened yet.
    ///
    /// # Errors
    /// [`Error::Usage`] if the pattern does not tell the files apart; [`Error::Exists`].
    pub(super) fn create(pattern: &Pattern, options: &WriteOptions) -> Result<Self> {
        check(pattern, options)?;
        let shape = options.shape;
        let planes_per_file = if pattern.has_z() { 1 } else { shape[0] };
        let per_channel = (shape[0] / planes_per_file) as usize;
        let mut files = Vec::new();
        for name in &options.channels {
            for z in 0..per_channel {
                let fields =
                    Fields { channel: Some(name.clone()), z: Some(z.to_string()), t: None };
                files.push(Mutex::new(FileSink::new(pattern.path(&fields), options.mode)?));
            }
        }
        let of_channel = |name: &String| {
            let mut options = options.clone().with_channels(vec![name.clone()]);
            options.shape[0] = planes_per_file;
            options
        };
        let options: Vec<WriteOptions> = options.channels.iter().map(of_channel).collect();
        for (file, options) in files.iter().step_by(per_channel).zip(&options) {
            file.lock().unwrap_or_else(PoisonError::into_inner).check(options)?;
        }
        Ok(Self { files, options, planes_per_file, shape })
    }
}

impl Writer for PatternWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        for (z, plane) in (start[0]..).zip(planes_of(voxels)) {
            let file =
                channel as u64 * (self.shape[0] / self.planes_per_file) + z / self.planes_per_file;
            let mut sink = self.files[file as usize].lock().unwrap_or_else(PoisonError::into_inner);
            sink.write_plane(z % self.planes_per_file, plane, &self.options[channel])?;
        }
        Ok(())
    }

    fn granule(&self) -> [u64; 3] {
        [1, self.shape[1], self.shape[2]]
    }

    fn order(&self) -> WriteOrder {
        if self.planes_per_file == 1 { WriteOrder::Any } else { WriteOrder::WithinChannel }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let mut staged = Vec::with_capacity(self.files.len());
        for file in self.files {
            staged.push(file.into_inner().unwrap_or_else(PoisonError::into_inner).close()?);
        }
        staged.into_iter().try_for_each(|s| s.commit())
    }
}

fn check(pattern: &Pattern, options: &WriteOptions) -> Result<()> {
    let wrong = |message: String| Err(Error::usage(Place::new(pattern.text()), message));
    if pattern.is_expression() {
        let message = "a regular expression finds files; name outputs by {channel} and {z}";
        return wrong(message.to_owned());
    }
    if format_of(pattern.text()).is_none() {
        let message = "a pattern of outputs ends in .tif, .tiff or .png";
        return Err(Error::unsupported(Place::new(pattern.text()), message));
    }
    if pattern.has_time() {
        return wrong("{t} in an output: one time point is written".to_owned());
    }
    let channels = &options.channels;
    if channels.len() > 1 && !pattern.has_channel() {
        return wrong(format!("{} channels need {{channel}} in the pattern", channels.len()));
    }
    let mut seen = HashSet::new();
    for name in channels {
        let unusable =
            name.is_empty() || name.contains(['/', '\0']) || [".", ".."].contains(&&**name);
        if pattern.has_channel() && unusable {
            return wrong(format!("channel '{}' cannot be in a file name", name.escape_debug()));
        }
        if !seen.insert(name) {
            return wrong(format!("two channels have the name '{name}'"));
        }
    }
    Ok(())
}
