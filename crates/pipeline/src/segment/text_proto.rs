//! Protocol buffers in text form, as a tree of named fields; just what requests of google/ffn use.
//! Specification: <https://protobuf.dev/reference/protobuf/textformat-spec/>.

use crate::error::{Error, Result};

/// A field as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) value: Value,
}

/// Value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A number, a name of an enum, `true` or `false`, unparsed.
    Word(String),
    Text(String),
    Message(Vec<Field>),
}

/// Parses a whole file.
pub(super) fn parse(text: &str, file: &str) -> Result<Vec<Field>> {
    let mut parser = Parser { rest: text, line: 1, file, depth: 0 };
    parser.fields(None)
}

/// Messages inside messages; a request has two. Keeps a hostile file from the end of the stack.
const MAX_DEPTH: usize = 50;

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    file: &'a str,
    depth: usize,
}

impl Parser<'_> {
    /// Fields up to a closing bracket, or up to the end where there is none.
    fn fields(&mut self, close: Option<char>) -> Result<Vec<Field>> {
        let mut fields = Vec::new();
        loop {
            self.skip_space();
            match (self.rest.chars().next(), close) {
                (None, None) => return Ok(fields),
                (None, Some(c)) => {
                    return Err(self.wrong(&format!("expected '{c}', found the end")));
                }
                (Some(c), Some(expected)) if c == expected => {
                    self.advance(1);
                    return Ok(fields);
                }
                _ => self.field(&mut fields)?,
            }
            self.skip_space();
            if self.rest.starts_with([',', ';']) {
                self.advance(1);
            }
        }
    }

    /// One field; a list `[a, b]` becomes one field for each value.
    fn field(&mut self, fields: &mut Vec<Field>) -> Result<()> {
        let line = self.line;
        let name = self.word("the name of a field")?;
        self.skip_space();
        let colon = self.rest.starts_with(':');
        if colon {
            self.advance(1);
            self.skip_space();
        }
        if !self.rest.starts_with('[') {
            let value = self.value(colon)?;
            fields.push(Field { name, line, value });
            return Ok(());
        }
        self.advance(1);
        loop {
            self.skip_space();
            if self.rest.starts_with(']') {
                self.advance(1);
                return Ok(());
            }
            let value = self.value(true)?;
            fields.push(Field { name: name.clone(), line, value });
            self.skip_space();
            if self.rest.starts_with(',') {
                self.advance(1);
            }
        }
    }

    fn value(&mut self, colon: bool) -> Result<Value> {
        match self.rest.chars().next() {
            Some(open @ ('{' | '<')) => {
                self.advance(1);
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.wrong("messages are nested too deeply"));
                }
                let fields = self.fields(Some(if open == '{' { '}' } else { '>' }))?;
                self.depth -= 1;
                Ok(Value::Message(fields))
            }
            _ if !colon => Err(self.wrong("expected ':' or '{' after the name of a field")),
            Some('"' | '\'') => self.strings().map(Value::Text),
            _ => self.word("a value").map(Value::Word),
        }
    }

    /// Adjacent strings count as one.
    fn strings(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            self.advance(1);
            self.string(quote, &mut text)?;
            self.skip_space();
        }
        Ok(text)
    }

    fn string(&mut self, quote: char, text: &mut String) -> Result<()> {
        loop {
            match self.rest.chars().next() {
                None | Some('\n') => return Err(self.wrong("a string has no end")),
                Some(c) if c == quote => {
                    self.advance(1);
                    return Ok(());
                }
                Some('\\') => {
                    self.advance(1);
                    let escaped = self.rest.chars().next();
                    let plain = match escaped {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(c @ ('"' | '\'' | '\\' | '/')) => c,
                        _ => return Err(self.wrong("an escape in a string is not known")),
                    };
                    text.push(plain);
                    self.advance(1);
                }
                Some(c) => {
                    text.push(c);
                    self.advance(c.len_utf8());
                }
            }
        }
    }

    fn word(&mut self, what: &str) -> Result<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
        let length = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        if length == 0 {
            return Err(self.wrong(&format!("expected {what}")));
        }
        let word = self.rest[..length].to_owned();
        self.advance(length);
        Ok(word)
    }

    fn skip_space(&mut self) {
        loop {
            let trimmed = self.rest.trim_start();
            self.advance(self.rest.len() - trimmed.len());
            if !self.rest.starts_with('#') {
                return;
            }
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn wrong(&self, why: &str) -> Error {
        Error::settings(format!("{} line {}", self.file, self.line), why)
    }
}
