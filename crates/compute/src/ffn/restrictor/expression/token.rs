//! Words and signs of an expression.

use super::wrong;
use crate::error::{Error, Result};

/// What the text is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Int(i64),
    Float(f64),
    /// A name, with the dots in it.
    Name(&'a str),
    Sign(&'static str),
    End,
}

/// Signs, longer ones before those they begin with.
const SIGNS: [&str; 20] = [
    "**", "//", "<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", "(",
    ")", ",",
];

/// Reads tokens one after the other.
pub(super) struct Tokens<'a> {
    text: &'a str,
    /// Byte after the current token.
    next: usize,
    /// First byte of the current token.
    pub(super) at: usize,
    pub(super) current: Token<'a>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self> {
        let mut tokens = Self { text, next: 0, at: 0, current: Token::End };
        tokens.advance()?;
        Ok(tokens)
    }

    pub(super) fn wrong(&self, at: usize, why: &str) -> Error {
        wrong(self.text, at, why)
    }

    /// The current token as an error shows it.
    pub(super) fn found(&self) -> String {
        match self.current {
            Token::End => "the end".to_owned(),
            _ => format!("'{}'", &self.text[self.at..self.next]),
        }
    }

    /// Goes on to the next token.
    pub(super) fn advance(&mut self) -> Result<()> {
        let text = self.text;
        let rest = text[self.next..].trim_start();
        self.at = text.len() - rest.len();
        let begins = rest.chars().next();
        let (token, length) = match begins {
            None => (Token::End, 0),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(rest)?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let dotted = |c: char| part(c) || c == '.';
                let is_module = rest.starts_with("np.") || rest.starts_with("numpy.");
                let length = match is_module {
                    true => rest.find(|c| !dotted(c)),
                    false => rest.find(|c| !part(c)),
                };
                let length = length.unwrap_or(rest.len());
                (Token::Name(&rest[..length]), length)
            }
            Some(c) => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(*sign), sign.len()),
                None => return Err(self.wrong(self.at, &format!("'{c}' has no meaning here"))),
            },
        };
        (self.current, self.next) = (token, self.at + length);
        Ok(())
    }

    fn number(&self, rest: &str) -> Result<(Token<'a>, usize)> {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut length = digits(rest);
        let is_whole = !rest[length..].starts_with(['.', 'e', 'E']);
        if rest[length..].starts_with('.') {
            length += 1 + digits(&rest[length + 1..]);
        }
        if rest[length..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
            length += 1 + sign + digits(&rest[length + 1 + sign..]);
        }
        let word = &rest[..length];
        let token = match is_whole {
            true => word.parse().ok().map(Token::Int),
            false => word.parse().ok().filter(|v: &f64| v.is_finite()).map(Token::Float),
        };
        let wrong = || self.wrong(self.at, &format!("expected a number, found '{word}'"));
        Ok((token.ok_or_else(wrong)?, length))
    }
}
