//! From tokens to a tree: one function for each strength of operators.

use super::token::{Token, Tokens};
use super::tree::{Binary, Kind, Node, Unary, Value};
use crate::error::{Error, Result};

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

    /// `|`, `^` and `&`, weakest first: of two conditions or of two whole numbers.
    fn bits(&mut self, strength: usize) -> Result<Part> {
        const SIGNS: [(&str, Binary); 3] =
            [("|", Binary::Or), ("^", Binary::Xor), ("&", Binary::And)];
        let Some((sign, op)) = SIGNS.get(strength) else { return self.sum() };
        let first = self.bits(strength + 1)?;
        let (at, kind) = (first.at, first.kind);
        let mut rest = Vec::new();
        while self.takes(sign)? {
            let next = self.bits(strength + 1)?;
            if kind == Kind::Float {
                return Err(self.tokens.wrong(at, "expected whole numbers or conditions"));
            }
            if next.kind != kind {
                let expected = if kind == Kind::Int { "a whole number" } else { "a condition" };
                return Err(self.tokens.wrong(next.at, &format!("expected {expected}")));
            }
            rest.push((*op, next.node));
        }
        Ok(Part { node: chain(first.node, rest), kind, at })
    }

    fn sum(&mut self) -> Result<Part> {
        self.arithmetic(&[("+", Binary::Add), ("-", Binary::Subtract)], Self::product)
    }

    fn product(&mut self) -> Result<Part> {
        let signs = [
            ("*", Binary::Multiply),
            ("/", Binary::Divide),
            ("//", Binary::FloorDivide),
            ("%", Binary::Remainder),
        ];
        self.arithmetic(&signs, Self::signed)
    }

    fn arithmetic(
        &mut self,
        signs: &[(&str, Binary)],
        term: fn(&mut Self) -> Result<Part>,
    ) -> Result<Part> {
        let first = term(self)?;
        let (at, mut kind) = (first.at, first.kind);
        let mut rest = Vec::new();
        'terms: loop {
            for (sign, op) in signs {
                if !self.takes(sign)? {
                    continue;
                }
                if kind == Kind::Condition {
                    return Err(self.tokens.wrong(at, "expected a number, found a condition"));
                }
                let next = term(self)?;
                self.number(&next)?;
                if next.kind == Kind::Float || *op == Binary::Divide {
                    kind = Kind::Float;
                }
                rest.push((*op, next.node));
                continue 'terms;
            }
            return Ok(Part { node: chain(first.node, rest), kind, at });
        }
    }

    fn signed(&mut self) -> Result<Part> {
        let at = self.tokens.at;
        if self.takes("+")? {
            let part = self.deeper(Self::signed)?;
            self.number(&part)?;
            return Ok(part);
        }
        let op = if self.takes("-")? {
            Unary::Minus
        } else if self.takes("~")? {
            Unary::Not
        } else {
            return self.power();
        };
        let part = self.deeper(Self::signed)?;
        match (op, part.kind) {
            (Unary::Not, Kind::Float) => {
                return Err(self.tokens.wrong(part.at, "expected a whole number or a condition"));
            }
            (Unary::Not, _) => {}
            _ => self.number(&part)?,
        }
        Ok(Part { node: Node::Unary(op, Box::new(part.node)), kind: part.kind, at })
    }

    /// Binds stronger than a sign before it, weaker than one after it: `-2 ** -2`.
    fn power(&mut self) -> Result<Part> {
        let base = self.atom()?;
        if !self.takes("**")? {
            return Ok(base);
        }
        self.number(&base)?;
        let exponent = self.deeper(Self::signed)?;
        self.number(&exponent)?;
        // The kind has to be known here: a negative power of a whole number is none.
        let is_int =
            base.kind == Kind::Int && matches!(exponent.node, Node::Constant(Value::Int(_)));
        let kind = if is_int { Kind::Int } else { Kind::Float };
        let (base_node, exponent_node) = (Box::new(base.node), Box::new(exponent.node));
        let node = Node::Binary(Binary::Power, base_node, exponent_node);
        Ok(Part { node, kind, at: base.at })
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

    fn call(&mut self, name: &'a str, at: usize) -> Result<Part> {
        let plain = ["np.", "numpy."].iter().find_map(|module| name.strip_prefix(module));
        let plain = plain.unwrap_or(name);
        let known = [
            "abs",
            "sqrt",
            "min",
            "max",
            "minimum",
            "maximum",
            "logical_and",
            "logical_or",
            "logical_not",
        ];
        if !known.contains(&plain) {
            let why =
                format!("'{name}' is not known; expected z, y, x or one of {}", known.join(", "));
            return Err(self.tokens.wrong(at, &why));
        }
        self.tokens.advance()?;
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.takes(")")? {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            arguments.push(self.deeper(Self::disjunction)?);
        }
        self.function(plain, arguments, at)
    }

    fn function(&self, name: &str, arguments: Vec<Part>, at: usize) -> Result<Part> {
        let logical = name.starts_with("logical");
        let expected = match name {
            "abs" | "sqrt" | "logical_not" => 1..=1,
            "minimum" | "maximum" | "logical_and" | "logical_or" => 2..=2,
            _ => 2..=usize::MAX,
        };
        if !expected.contains(&arguments.len()) {
            let (count, found) = (*expected.start(), arguments.len());
            let why = format!("{name}: expected {count} arguments, found {found}");
            return Err(self.tokens.wrong(at, &why));
        }
        for argument in &arguments {
            if logical { self.condition(argument)? } else { self.number(argument)? }
        }
        let is_float = arguments.iter().any(|argument| argument.kind == Kind::Float);
        let number = if is_float || name == "sqrt" { Kind::Float } else { Kind::Int };
        let kind = if logical { Kind::Condition } else { number };
        let mut nodes: Vec<Node> = arguments.into_iter().map(|argument| argument.node).collect();
        let node = match name {
            "min" | "minimum" => Node::Least(nodes),
            "max" | "maximum" => Node::Largest(nodes),
            "logical_and" => Node::All(nodes),
            "logical_or" => Node::Any(nodes),
            _ => {
                let op = match name {
                    "abs" => Unary::Abs,
                    "sqrt" => Unary::Sqrt,
                    _ => Unary::Not,
                };
                Node::Unary(op, Box::new(nodes.swap_remove(0)))
            }
        };
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
