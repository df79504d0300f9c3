//! Patterns of file names: `images/mosaic_{channel}_z{z}.tif`.

use std::path::{Path, PathBuf};

use regex::Regex;

use super::expression;
use crate::error::{Error, Place, Result};

/// A part of a name that differs from file to file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Channel,
    Z,
    T,
}

/// Values of the fields of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) channel: Option<String>,
    /// Index of the plane, as it is written in the name.
    pub(super) z: Option<String>,
    pub(super) t: Option<String>,
}

/// A path with fields or a directory with an expression, taken apart.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    folder: PathBuf,
    components: Vec<Component>,
}

/// A directory or file name with its fields.
#[derive(Debug)]
pub(super) struct Component {
    tokens: Vec<Token>,
    /// Fields that every name has.
    fields: Vec<Field>,
    regex: Regex,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Field(Field),
}

impl Field {
    /// The field of a name in a pattern or an expression.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "channel" => Some(Self::Channel),
            "z" => Some(Self::Z),
            "t" | "time" => Some(Self::T),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Z => "z",
            Self::T => "t",
        }
    }

    fn regex(self) -> &'static str {
        match self {
            Self::Channel => "(?P<channel>.+?)",
            Self::Z => "(?P<z>[0-9]+)",
            Self::T => "(?P<t>[0-9]+)",
        }
    }
}

impl Fields {
    fn get(&self, field: Field) -> Option<&String> {
        match field {
            Field::Channel => self.channel.as_ref(),
            Field::Z => self.z.as_ref(),
            Field::T => self.t.as_ref(),
        }
    }

    fn of(found: &regex::Captures<'_>) -> Self {
        let get = |key: &str| found.name(key).map(|m| m.as_str().to_owned());
        Self { channel: get("channel"), z: get("z"), t: get("t").or_else(|| get("time")) }
    }

    /// The fields of a directory together with those of a name inside it.
    fn merged(&self, inner: Self) -> Self {
        Self {
            channel: inner.channel.or_else(|| self.channel.clone()),
            z: inner.z.or_else(|| self.z.clone()),
            t: inner.t.or_else(|| self.t.clone()),
        }
    }
}

impl Pattern {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// [`Error::Usage`] for a field that is unknown or occurs twice, or a wrong expression.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix(expression::PREFIX) {
            return Self::of_expression(text, rest);
        }
        let root = if text.starts_with('/') { "/" } else { "" };
        Self::build(text, PathBuf::from(root), text)
    }

    fn of_expression(whole: &str, rest: &str) -> Result<Self> {
        let (folder, expression) = expression::split(rest);
        let (regex, fields) = expression::compile(expression)
            .map_err(|message| Error::usage(Place::new(whole), message))?;
        let tokens = vec![Token::Text(expression.to_owned())];
        let components = vec![Component { tokens, fields, regex }];
        Ok(Self { text: whole.to_owned(), folder: PathBuf::from(folder), components })
    }

    /// A pattern of names inside a folder, whose own name may have any characters.
    pub(super) fn in_folder(folder: &Path, text: &str) -> Result<Self> {
        Self::build(&folder.join(text).display().to_string(), folder.to_owned(), text)
    }

    fn build(whole: &str, mut folder: PathBuf, text: &str) -> Result<Self> {
        let wrong = |message: String| Error::usage(Place::new(whole), message);
        let mut components = Vec::new();
        for name in text.split('/').filter(|n| !n.is_empty()) {
            let tokens = tokens(name).map_err(wrong)?;
            // Literal directories in front are not listed: they may not even be readable.
            if components.is_empty() && tokens.iter().all(|t| matches!(t, Token::Text(_))) {
                folder.push(name);
            } else {
                let regex = regex(&tokens).map_err(|e| wrong(e.to_string()))?;
                let fields = tokens.iter().filter_map(Token::field).collect();
                components.push(Component { tokens, fields, regex });
            }
        }
        let this = Self { text: whole.to_owned(), folder, components };
        for field in [Field::Channel, Field::Z, Field::T] {
            if this.count(field) > 1 {
                return Err(wrong(format!("field {{{}}} occurs twice", field.name())));
            }
        }
        if this.components.is_empty() {
            return Err(wrong("a pattern without a field".to_owned()));
        }
        Ok(this)
    }

    /// Whether names are matched by a regular expression of the user's.
    pub(super) fn is_expression(&self) -> bool {
        self.text.starts_with(expression::PREFIX)
    }

    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Directory in front of the first field.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Names to be matched, from the outermost directory to the file.
    pub(super) fn components(&self) -> &[Component] {
        &self.components
    }

    pub(super) fn has_channel(&self) -> bool {
        self.count(Field::Channel) > 0
    }

    pub(super) fn has_z(&self) -> bool {
        self.count(Field::Z) > 0
    }

    pub(super) fn has_time(&self) -> bool {
        self.count(Field::T) > 0
    }

    /// Whether a file name fits the last component.
    pub(super) fn matches_name(&self, name: &str) -> bool {
        self.components.last().is_some_and(|c| c.regex.is_match(name))
    }

    /// The path with fields filled in; a field without a value stays as it is.
    pub(super) fn path(&self, fields: &Fields) -> PathBuf {
        let name = |c: &Component| c.tokens.iter().map(|t| t.render(fields)).collect::<String>();
        self.components.iter().fold(self.folder.clone(), |path, c| path.join(name(c)))
    }

    fn count(&self, field: Field) -> usize {
        self.components.iter().flat_map(|c| &c.fields).filter(|f| **f == field).count()
    }
}

impl Component {
    /// Fields of a name that fits, added to those of the directories around it.
    ///
    /// # Errors
    /// Names a field that the name fits without, or with no text: an expression may have it so.
    pub(super) fn fields(&self, name: &str, outer: &Fields) -> Option<Result<Fields, String>> {
        let found = Fields::of(&self.regex.captures(name)?);
        let absent = |field: &&Field| found.get(**field).is_none_or(String::is_empty);
        if let Some(field) = self.fields.iter().find(absent) {
            return Some(Err(format!(
                "the name fits the pattern, its group {} is empty",
                field.name()
            )));
        }
        Some(Ok(outer.merged(found)))
    }
}

impl Token {
    fn field(&self) -> Option<Field> {
        match self {
            Self::Field(field) => Some(*field),
            Self::Text(_) => None,
        }
    }

    fn render(&self, fields: &Fields) -> String {
        let (value, name) = match self {
            Self::Text(text) => return text.clone(),
            Self::Field(Field::Channel) => (&fields.channel, "{channel}"),
            Self::Field(Field::Z) => (&fields.z, "{z}"),
            Self::Field(Field::T) => (&fields.t, "{t}"),
        };
        value.clone().unwrap_or_else(|| name.to_owned())
    }
}

fn tokens(name: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), name);
    while let Some(open) = rest.find('{') {
        let close =
            rest[open..].find('}').ok_or_else(|| format!("'{{' is not closed in {name}"))?;
        let field = &rest[open + 1..open + close];
        let known = Field::from_name(field).ok_or_else(|| {
            format!("unknown field {{{field}}}; known are {{channel}}, {{z}} and {{t}} ({{time}})")
        })?;
        tokens.push(Token::Text(rest[..open].to_owned()));
        tokens.push(Token::Field(known));
        rest = &rest[open + close + 1..];
    }
    tokens.push(Token::Text(rest.to_owned()));
    Ok(tokens)
}

fn regex(tokens: &[Token]) -> Result<Regex, regex::Error> {
    let part = |token: &Token| match token {
        Token::Text(text) => regex::escape(text),
        Token::Field(field) => field.regex().to_owned(),
    };
    let middle: String = tokens.iter().map(part).collect();
    // `s`: a name may contain a line end.
    Regex::new(&format!("(?s)^{middle}$"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_filled_in() {
        let pattern = Pattern::parse("a/b+c/mosaic_{channel}_z{z}.tif").unwrap();
        assert_eq!(pattern.folder(), Path::new("a/b+c"));
        let component = &pattern.components()[0];
        let fields =
            component.fields("mosaic_Cy5_z1_z07.tif", &Fields::default()).unwrap().unwrap();
        assert_eq!((fields.channel.as_deref(), fields.z.as_deref()), (Some("Cy5_z1"), Some("07")));
        assert_eq!(pattern.path(&fields), Path::new("a/b+c/mosaic_Cy5_z1_z07.tif"));
        assert!(component.fields("mosaic_Cy5_z1xtif", &Fields::default()).is_none());
        assert!(component.fields("xmosaic_Cy5_z1.tif", &Fields::default()).is_none());
    }

    #[test]
    fn wrong_fields_are_named() {
        let message = |text: &str| Pattern::parse(text).unwrap_err().to_string();
        assert!(message("x_{stain}.tif").contains("unknown field {stain}"));
        assert!(message("{z}/x_{z}.tif").contains("{z} occurs twice"));
        assert!(message("x_{z.tif").contains("not closed"));
    }
}
