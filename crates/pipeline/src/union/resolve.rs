//! Roots of the members of all parts, from the lowest part to the highest.

use std::path::PathBuf;

use super::Renaming;
use super::parts::Question;
use crate::error::{Error, Result};
use crate::records::{ExternalSort, RecordFile, RecordReader, RecordWriter, Scratch};

/// A part whose members are linked.
#[derive(Debug)]
pub(super) struct Solved {
    /// The smallest id that may be in it.
    pub(super) low: u64,
    /// Each member with the smallest one of its set, or with the next member of a lower part; ascending.
    pub(super) links: PathBuf,
}

/// Writes the renamings of all parts in ascending order. `solved` is in descending order; the questions
/// are in the file of that name.
///
/// A question is answered when the part of its id is resolved, and read when the part that asked is, which
/// is later: so every answer is there in time, and in ascending order.
pub(super) fn resolve(
    solved: &[Solved],
    scratch: &Scratch,
    sort_bytes: u64,
    to: &mut RecordWriter<Renaming>,
) -> Result<()> {
    let (unsorted, sorted) = (scratch.path("questions"), scratch.path("sorted-questions"));
    let sort = ExternalSort::new(scratch.folder(), sort_bytes, |question: &Question| *question);
    sort.run_unsynced(&[unsorted], &sorted)?;
    let mut answering = Answering {
        questions: RecordReader::open(&sorted)?,
        answers: std::iter::repeat_with(|| None).take(solved.len()).collect(),
        scratch,
    };
    for (number, part) in solved.iter().enumerate().rev() {
        let answers = answering.take(number, part.low)?;
        for link in RecordReader::<Renaming>::open(&part.links)? {
            let root = root_of(link?, part, &answers)?;
            answering.answer(root)?;
            to.push(root)?;
        }
        // Work files are removed in any case; this one may be large.
        let _ = std::fs::remove_file(&part.links);
    }
    Ok(())
}

/// A member and the smallest one of its set.
fn root_of(link: Renaming, part: &Solved, answers: &[Renaming]) -> Result<Renaming> {
    if link.root >= part.low {
        return Ok(link);
    }
    let found = answers.binary_search_by_key(&link.root, |answer| answer.id).map_err(|_| {
        let message = format!("no answer for {}: the file was changed", link.root);
        Error::settings(part.links.display().to_string(), message)
    })?;
    Ok(Renaming { id: link.id, root: answers[found].root })
}

/// The questions of all parts, ascending, and a file of answers for each part that has any.
struct Answering<'a> {
    questions: RecordReader<Question>,
    answers: Vec<Option<(PathBuf, RecordWriter<Renaming>)>>,
    scratch: &'a Scratch,
}

impl Answering<'_> {
    /// Answers the questions for ids below that of `next`, which are roots, and those for its id.
    fn answer(&mut self, next: Renaming) -> Result<()> {
        self.answer_roots(next.id)?;
        while let Some(question) = self.questions.peek()?.filter(|q| q.id == next.id) {
            self.tell(question, next.root)?;
            self.questions.pop()?;
        }
        Ok(())
    }

    /// Answers the questions for ids below `end` that no link has answered: they are roots.
    fn answer_roots(&mut self, end: u64) -> Result<()> {
        while let Some(question) = self.questions.peek()?.filter(|q| q.id < end) {
            self.tell(question, question.id)?;
            self.questions.pop()?;
        }
        Ok(())
    }

    fn tell(&mut self, question: Question, root: u64) -> Result<()> {
        let place = &mut self.answers[question.asker as usize];
        let (path, mut writer) = match place.take() {
            Some(begun) => begun,
            None => {
                let path = self.scratch.path(format!("answers{}", question.asker));
                (path.clone(), RecordWriter::create_among_many(&path)?)
            }
        };
        writer.push(Renaming { id: question.id, root })?;
        *place = Some((path, writer));
        Ok(())
    }

    /// The answers of a part that begins with `low`, ascending: it asks for ids below that only.
    fn take(&mut self, asker: usize, low: u64) -> Result<Vec<Renaming>> {
        self.answer_roots(low)?;
        let Some((path, writer)) = self.answers[asker].take() else { return Ok(Vec::new()) };
        writer.finish_unsynced()?;
        let file = RecordFile::open(&path)?;
        let answers = file.read(0..file.len());
        // Work files are removed in any case.
        let _ = std::fs::remove_file(&path);
        answers
    }
}
