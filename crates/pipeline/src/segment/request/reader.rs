//! One field of a request, read as what it must be.

use super::{Field, Value};
use crate::error::{Error, Result};

/// One field with the file it stands in, for errors.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) field: &'a Field,
}

impl Reader<'_> {
    pub(super) fn name(&self) -> &str {
        &self.field.name
    }

    pub(super) fn place(&self) -> String {
        format!("{} line {}", self.file, self.field.line)
    }

    pub(super) fn wrong(&self, why: &str) -> Error {
        Error::settings(self.place(), format!("{} {why}", self.field.name))
    }

    pub(super) fn text(&self) -> Result<&str> {
        match &self.field.value {
            Value::Text(text) => Ok(text),
            other => Err(self.wrong(&format!("must be a string in quotes, found {other:?}"))),
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&self) -> Result<T> {
        match &self.field.value {
            // C++ allows a float to end in f.
            Value::Word(word) => word
                .trim_end_matches('f')
                .parse()
                .map_err(|_| self.wrong(&format!("must be a number, found {word}"))),
            other => Err(self.wrong(&format!("must be a number, found {other:?}"))),
        }
    }

    pub(super) fn fields(&self) -> Result<impl Iterator<Item = Reader<'_>>> {
        match &self.field.value {
            Value::Message(fields) => {
                Ok(fields.iter().map(|field| Reader { file: self.file, field }))
            }
            other => Err(self.wrong(&format!("must be a message, found {other:?}"))),
        }
    }

    /// Names of classes may have any package in front.
    pub(super) fn check_class(&self, expected: &str) -> Result<()> {
        let found = self.text()?;
        if found.rsplit('.').next() == Some(expected) {
            return Ok(());
        }
        Err(self.wrong(&format!("'{found}' is not supported, expected '{expected}'")))
    }

    pub(super) fn check_empty_json(&self) -> Result<()> {
        let text = self.text()?.trim();
        if text.is_empty() || text.replace(char::is_whitespace, "") == "{}" {
            return Ok(());
        }
        Err(self.wrong(&format!("with values is not supported, found {text}")))
    }
}
