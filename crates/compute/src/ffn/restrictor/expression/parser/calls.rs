//! Functions by name, with what they take.

use super::{Parser, Part};
use crate::error::Result;
use crate::ffn::restrictor::expression::tree::{Kind, Node, Unary};

impl<'a> Parser<'a> {
    pub(super) fn call(&mut self, name: &'a str, at: usize) -> Result<Part> {
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
}
