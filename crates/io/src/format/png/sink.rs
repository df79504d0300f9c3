//! Writing one plane as a PNG file: one channel in grey, or three of them in colour.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Encoder, EncodingError};

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::staging::Staged;
use crate::volume::WriteOptions;

/// A PNG file under construction.
pub(crate) struct PngSink {
    path: PathBuf,
    staged: Staged,
    file: File,
    size_yx: [u32; 2],
    /// Planes of a picture in colour that wait for the others; as many as there are channels.
    colours: Vec<Option<Vec<u8>>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Written,
    Failed,
}

impl PngSink {
    /// Creates the file under its temporary name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if PNG cannot hold such a volume.
    pub(crate) fn create(path: &Path, staged: Staged, options: &WriteOptions) -> Result<Self> {
        let size_yx = Self::check(path, options)?;
        let file = File::create(staged.path()).map_err(Error::at(path))?;
        let colours = if options.channels.len() == 1 { 0 } else { options.channels.len() };
        let colours = vec![None; colours];
        Ok(Self { path: path.to_owned(), staged, file, size_yx, colours, state: State::Empty })
    }

    /// Rows and columns, if PNG can hold such a volume.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it cannot.
    pub(crate) fn check(path: &Path, options: &WriteOptions) -> Result<[u32; 2]> {
        let [z, y, x] = options.shape;
        let (channels, dtype) = (options.channels.len(), options.dtype);
        let size_yx = match (u32::try_from(y), u32::try_from(x)) {
            (Ok(y), Ok(x)) if y.max(x) < 1 << 31 => Some([y, x]),
            _ => None,
        };
        let grey = channels == 1 && matches!(dtype, DataType::U8 | DataType::U16);
        let colour = channels == 3 && dtype == DataType::U8;
        let fits = z == 1 && (grey || colour);
        size_yx.filter(|_| fits).ok_or_else(|| {
            let message = format!(
                "{channels} channels of {dtype}, shape {:?}, in PNG, which holds one plane of one \
                 channel, uint8 or uint16, or of three of uint8",
                options.shape
            );
            Error::unsupported(Place::path(path), message)
        })
    }

    /// Takes the plane of a channel, given as bytes in memory order, and writes the file with the last.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is not the first time; [`Error::Io`] if the disk is full.
    pub(crate) fn write_plane(
        &mut self,
        channel: usize,
        dtype: DataType,
        plane: &[u8],
    ) -> Result<()> {
        let waiting = self.colours.get_mut(channel);
        if self.state != State::Empty || waiting.as_ref().is_some_and(|w| w.is_some()) {
            return Err(Error::usage(
                Place::path(&self.path),
                "the plane has been written already",
            ));
        }
        let Some(waiting) = waiting else {
            return self.write_all(ColorType::Grayscale, dtype, plane);
        };
        *waiting = Some(plane.to_vec());
        let planes: Vec<&[u8]> = self.colours.iter().flatten().map(Vec::as_slice).collect();
        let [red, green, blue] = planes[..] else { return Ok(()) };
        let pixels = red.iter().zip(green).zip(blue);
        let pixels: Vec<u8> = pixels.flat_map(|((r, g), b)| [*r, *g, *b]).collect();
        self.write_all(ColorType::Rgb, dtype, &pixels)
    }

    fn write_all(&mut self, color: ColorType, dtype: DataType, pixels: &[u8]) -> Result<()> {
        self.state = State::Failed;
        self.encode(color, dtype, pixels).map_err(|error| match error {
            EncodingError::IoError(source) => Error::io(Place::path(&self.path), source),
            other => Error::unsupported(Place::path(&self.path), format!("writing PNG: {other}")),
        })?;
        self.state = State::Written;
        Ok(())
    }

    /// Brings the file to the disk; it still has its temporary name.
    ///
    /// # Errors
    /// [`Error::Usage`] if the plane has not been written.
    pub(crate) fn close(self) -> Result<Staged> {
        if self.state != State::Written {
            let (written, all) = (self.colours.iter().flatten().count(), self.colours.len().max(1));
            let message = format!("{written} of {all} planes have been written");
            return Err(Error::usage(Place::path(&self.path), message));
        }
        self.file.sync_all().map_err(Error::at(&self.path))?;
        Ok(self.staged)
    }

    fn encode(&self, color: ColorType, dtype: DataType, plane: &[u8]) -> Result<(), EncodingError> {
        let mut output = BufWriter::new(&self.file);
        let [height, width] = self.size_yx;
        let mut encoder = Encoder::new(&mut output, width, height);
        encoder.set_color(color);
        let wide = dtype == DataType::U16;
        encoder.set_depth(if wide { BitDepth::Sixteen } else { BitDepth::Eight });
        let mut writer = encoder.write_header()?;
        if wide {
            let mut values = plane.to_vec();
            if cfg!(target_endian = "little") {
                values.as_chunks_mut::<2>().0.iter_mut().for_each(|b| b.reverse());
            }
            writer.write_image_data(&values)?;
        } else {
            writer.write_image_data(plane)?;
        }
        writer.finish()?;
        output.flush()?;
        Ok(())
    }
}
