//! From tokens to a tree: one function for each strength of operators.

use super::token::{Token, Tokens};
use super::tree::{Binary, Kind, Node, Unary, Value};
use crate::error::{Error, Result};

mod calls;
mod numbers;

/// Parentheses, signs and functions inside each other, at most: keeps a hostile text from the end of the
/// stack.
const DEEPEST: usize = 64;

/// A part of the text with its kind and its first byte.
struct Part {
    node: Node,
    kind: Kind,
    at: usize,
}

/// The whole text.
pub(super) fn parse(text: &str) -> Result<(Node, Kind)> {
    let mut parser = Parser { tokens: Tokens::new(text)?, depth: 0 };
    let part = parser.disjunction()?;
    if parser.tokens.current != Token::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok((part.node, part.kind))
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn unexpected(&self, expected: &str) -> Error {
        let found = self.tokens.found();
        self.tokens.wrong(self.tokens.at, &format!("expected {expected}, found {found}"))
    }

    /// Whether the next token is this sign or word; it is then passed.
    fn takes(&mut self, text: &str) -> Result<bool> {
        let is_next = match self.tokens.current {
            Token::Sign(sign) => sign == text,
            Token::Name(name) => name == text,
            _ => false,
        };
        if is_next {
            self.tokens.advance()?;
        }
        Ok(is_next)
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        match self.takes(sign)? {
            true => Ok(()),
            false => Err(self.unexpected(&format!("'{sign}'"))),
        }
    }

    fn condition(&self, part: &Part) -> Result<()> {
        match part.kind {
            Kind::Condition => Ok(()),
            _ => Err(self.tokens.wrong(part.at, "expected a condition, found a number")),
        }
    }

    fn number(&self, part: &Part) -> Result<()> {
        match part.kind {
            Kind::Condition => {
                Err(self.tokens.wrong(part.at, "expected a number, found a condition"))
            }
            _ => Ok(()),
        }
    }

    /// Terms with `or` between them.
    fn disjunction(&mut self) -> Result<Part> {
        self.terms("or", Self::conjunction, Node::Any)
    }

    fn conjunction(&mut self) -> Result<Part> {
        self.terms("and", Self::negation, Node::All)
    }

    fn terms(
        &mut self,
        word: &str,
        term: fn(&mut Self) -> Result<Part>,
        join: fn(Vec<Node>) -> Node,
    ) -> Result<Part> {
        let first = term(self)?;
        let at = first.at;
        let mut terms = Vec::new();
        let mut last = first;
        while self.takes(word)? {
            self.condition(&last)?;
            terms.push(last.node);
            last = term(self)?;
            self.condition(&last)?;
        }
        if terms.is_empty() {
            return Ok(last);
        }
        terms.push(last.node);
        Ok(Part { node: join(terms), kind: Kind::Condition, at })
    }

    fn negation(&mut self) -> Result<Part> {
        let at = self.tokens.at;
        if !self.takes("not")? {
            return self.comparison();
        }
        let part = self.deeper(Self::negation)?;
        self.condition(&part)?;
        Ok(Part { node: Node::Unary(Unary::Not, Box::new(part.node)), kind: Kind::Condition, at })
    }

    /// `a < b`, or `a < b < c`: both hold.
    fn comparison(&mut self) -> Result<Part> {
        let first = self.bits(0)?;
        let at = first.at;
        let mut kind = first.kind;
        let mut links = Vec::new();
        while let Some(op) = self.comparator()? {
            let right = self.bits(0)?;
            let both = [kind, right.kind].map(|kind| kind == Kind::Condition);
            let is_equality = matches!(op, Binary::Equal | Binary::NotEqual);
            if both != [is_equality && both[0]; 2] {
                let why = "conditions can be compared with conditions only, by == and !=";
                return Err(self.tokens.wrong(right.at, why));
            }
            kind = right.kind;
            links.push((op, right.node));
        }
        let node = match links.len() {
            0 => return Ok(first),
            1 => chain(first.node, links),
            _ => Node::Comparisons(Box::new(first.node), links),
        };
        Ok(Part { node, kind: Kind::Condition, at })
    }

    fn comparator(&mut self) -> Result<Option<Binary>> {
        let op = match self.tokens.current {
            Token::Sign("<") => Binary::Less,
            Token::Sign("<=") => Binary::LessOrEqual,
            Token::Sign(">") => Binary::Greater,
            Token::Sign(">=") => Binary::GreaterOrEqual,
            Token::Sign("==") => Binary::Equal,
            Token::Sign("!=") => Binary::NotEqual,
            _ => return Ok(None),
        };
        self.tokens.advance()?;
        Ok(Some(op))
    }

    fn atom(&mut self) -> Result<Part> {
        let at = self.tokens.at;
        let (node, kind) = match self.tokens.current {
            Token::Int(value) => (Node::Constant(Value::Int(value)), Kind::Int),
            Token::Float(value) => (Node::Constant(Value::Float(value)), Kind::Float),
            Token::Name("True") => (Node::Constant(Value::Bool(true)), Kind::Condition),
            Token::Name("False") => (Node::Constant(Value::Bool(false)), Kind::Condition),
            Token::Name("z") => (Node::Coordinate(0), Kind::Int),
            Token::Name("y") => (Node::Coordinate(1), Kind::Int),
            Token::Name("x") => (Node::Coordinate(2), Kind::Int),
            Token::Name(name) => return self.call(name, at),
            Token::Sign("(") => {
                self.tokens.advance()?;
                let mut part = self.deeper(Self::disjunction)?;
                self.expect(")")?;
                part.at = at;
                return Ok(part);
            }
            _ => return Err(self.unexpected("a number, z, y, x or '('")),
        };
        self.tokens.advance()?;
        Ok(Part { node, kind, at })
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Result<Part>) -> Result<Part> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let why = format!("expected parts at most {DEEPEST} deep");
            return Err(self.tokens.wrong(self.tokens.at, &why));
        }
        let part = parse(self);
        self.depth -= 1;
        part
    }
}

/// From left to right.
fn chain(first: Node, mut rest: Vec<(Binary, Node)>) -> Node {
    match rest.len() {
        0 => first,
        1 => {
            let (op, node) = rest.swap_remove(0);
            Node::Binary(op, Box::new(first), Box::new(node))
        }
        _ => Node::Chain(Box::new(first), rest),
    }
}
