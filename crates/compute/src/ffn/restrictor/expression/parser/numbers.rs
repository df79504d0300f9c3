//! Operators between numbers: of bits, sums, products, signs and powers.

use super::{Parser, Part, chain};
use crate::error::Result;
use crate::ffn::restrictor::expression::tree::{Binary, Kind, Node, Unary, Value};

impl Parser<'_> {
    /// `|`, `^` and `&`, weakest first: of two conditions or of two whole numbers.
    pub(super) fn bits(&mut self, strength: usize) -> Result<Part> {
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
}
