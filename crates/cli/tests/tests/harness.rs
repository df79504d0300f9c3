//! Runs the program in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use exavox_io::{DataType, Element, VolumeWriter, Voxels, WriteOptions};
use tempfile::TempDir;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit status; `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    /// Results.
    pub(crate) stdout: String,
    /// All else.
    pub(crate) stderr: String,
}

impl Run {
    /// The output of a run that has ended.
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { status: output.status.code(), stdout, stderr }
    }

    /// The run, if it ended with 0.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// The one JSON object on stdout of a run that ended with 0.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let run = self.done();
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"))
    }

    /// The error of a run that ended with 2: exactly one line, and perhaps a hint.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        assert_eq!((self.status, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        let errors: Vec<&str> = self.stderr.lines().filter(|l| !l.starts_with("hint: ")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        let error = errors[0].strip_prefix("error: ");
        error.unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// The program, without the variables that could change what it does.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exavox"));
    for variable in ["EXAVOX_DEVICE", "EXAVOX_THREADS", "EXAVOX_MEMORY", "EXAVOX_NO_MMAP"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the program where it happens to be.
pub(crate) fn run(args: &[&str]) -> Run {
    Run::of(&program().args(args).output().unwrap())
}

/// A folder that is removed at the end, in which the program runs.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One in memory, where there is such a place: for tests that make thousands of writes wait for the disk.
    pub(crate) fn in_memory() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The program with this folder as its working directory.
    pub(crate) fn program(&self) -> Command {
        let mut command = program();
        command.current_dir(self.path());
        command
    }

    /// Runs the program in this folder.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(&self.program().args(args).output().unwrap())
    }

    /// Writes a volume of one channel into this folder.
    pub(crate) fn write<T: Element>(&self, name: &str, shape: [usize; 3], values: Vec<T>) {
        let options = WriteOptions::new(T::DTYPE, shape.map(|v| v as u64));
        let name = self.join(name).display().to_string();
        let writer = VolumeWriter::create(&name, &options).unwrap();
        writer.write(0, [0; 3], &Voxels::from_vec(shape, values).unwrap()).unwrap();
        writer.finish().unwrap();
    }

    /// Writes a volume whose values count up, modulo what the type holds.
    pub(crate) fn write_ramp(&self, name: &str, shape: [usize; 3], dtype: DataType) {
        let count = shape.iter().product::<usize>();
        exavox_io::match_dtype!(dtype, T => {
            self.write(name, shape, (0..count).map(|i| i as T).collect::<Vec<T>>());
        });
    }

    /// Names of all entries, hidden ones too, sorted.
    pub(crate) fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
