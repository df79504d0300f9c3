//! An expression as a tree, and its value at a voxel.

/// What a part of an expression is, known before any voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Condition,
    Int,
    Float,
}

/// The value of a part of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
}

/// A part of an expression. The parser has seen to it that conditions and numbers are where they belong.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Constant(Value),
    /// 0 = z.
    Coordinate(usize),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// All of the terms, or any of them: a list, so that long ones are not deep.
    All(Vec<Node>),
    Any(Vec<Node>),
    /// A number and what is added to or subtracted from it and so on, from left to right.
    Chain(Box<Node>, Vec<(Binary, Node)>),
    /// `a < b < c`: each one with the next.
    Comparisons(Box<Node>, Vec<(Binary, Node)>),
    Least(Vec<Node>),
    Largest(Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Minus,
    /// `~` and `not`.
    Not,
    Abs,
    Sqrt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    And,
    Or,
    Xor,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Node {
    pub(super) fn value(&self, zyx: [i64; 3]) -> Value {
        let is_true = |node: &Self| node.value(zyx) == Value::Bool(true);
        match self {
            Self::Constant(value) => *value,
            Self::Coordinate(axis) => Value::Int(zyx[*axis]),
            Self::Unary(op, node) => op.apply(node.value(zyx)),
            Self::Binary(op, a, b) => op.apply(a.value(zyx), b.value(zyx)),
            Self::All(terms) => Value::Bool(terms.iter().all(is_true)),
            Self::Any(terms) => Value::Bool(terms.iter().any(is_true)),
            Self::Chain(first, rest) => {
                rest.iter().fold(first.value(zyx), |sum, (op, node)| op.apply(sum, node.value(zyx)))
            }
            Self::Comparisons(first, rest) => {
                let mut left = first.value(zyx);
                Value::Bool(rest.iter().all(|(op, node)| {
                    let right = node.value(zyx);
                    let holds = op.apply(left, right) == Value::Bool(true);
                    left = right;
                    holds
                }))
            }
            Self::Least(terms) => extreme(terms, zyx, |a, b| a < b),
            Self::Largest(terms) => extreme(terms, zyx, |a, b| a > b),
        }
    }
}

fn extreme(terms: &[Node], zyx: [i64; 3], is_better: fn(f64, f64) -> bool) -> Value {
    let mut values = terms.iter().map(|term| term.value(zyx));
    let first = values.next().unwrap_or(Value::Int(0));
    values.fold(first, |best, value| match (best, value) {
        (Value::Int(a), Value::Int(b)) => {
            // Compared as whole numbers: f64 does not tell all of them apart.
            let better = if is_better(0.0, 1.0) { b < a } else { b > a };
            Value::Int(if better { b } else { a })
        }
        _ => {
            let (a, b) = (best.float(), value.float());
            Value::Float(if is_better(b, a) || b.is_nan() { b } else { a })
        }
    })
}

impl Value {
    fn float(self) -> f64 {
        match self {
            Self::Bool(value) => f64::from(u8::from(value)),
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl Unary {
    fn apply(self, value: Value) -> Value {
        match (self, value) {
            (Self::Minus, Value::Int(v)) => Value::Int(v.wrapping_neg()),
            (Self::Minus, v) => Value::Float(-v.float()),
            (Self::Not, Value::Bool(v)) => Value::Bool(!v),
            (Self::Not, Value::Int(v)) => Value::Int(!v),
            (Self::Not, v) => v,
            (Self::Abs, Value::Int(v)) => Value::Int(v.wrapping_abs()),
            (Self::Abs, v) => Value::Float(v.float().abs()),
            (Self::Sqrt, v) => Value::Float(v.float().sqrt()),
        }
    }
}

impl Binary {
    fn is_comparison(self) -> bool {
        use Binary::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Less | LessOrEqual | Greater | GreaterOrEqual | Equal | NotEqual)
    }

    fn apply(self, a: Value, b: Value) -> Value {
        match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => Value::Bool(self.of_conditions(a, b)),
            (Value::Int(a), Value::Int(b)) => self.of_ints(a, b),
            _ => self.of_floats(a.float(), b.float()),
        }
    }

    fn of_conditions(self, a: bool, b: bool) -> bool {
        match self {
            Self::And => a && b,
            Self::Or => a || b,
            Self::Equal => a == b,
            _ => a != b,
        }
    }

    fn of_ints(self, a: i64, b: i64) -> Value {
        if self.is_comparison() {
            return Value::Bool(self.holds(&a, &b));
        }
        Value::Int(match self {
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
            Self::FloorDivide if b == 0 => 0,
            Self::FloorDivide => {
                let rest = a.wrapping_rem(b);
                a.wrapping_div(b) - i64::from(rest != 0 && (rest < 0) != (b < 0))
            }
            Self::Remainder if b == 0 => 0,
            Self::Remainder => {
                let rest = a.wrapping_rem(b);
                if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
            }
            Self::Power if b >= 0 => a.wrapping_pow(u32::try_from(b).unwrap_or(u32::MAX)),
            _ => return self.of_floats(a as f64, b as f64),
        })
    }

    fn of_floats(self, a: f64, b: f64) -> Value {
        if self.is_comparison() {
            return Value::Bool(self.holds(&a, &b));
        }
        Value::Float(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::FloorDivide if b == 0.0 => a / b,
            // From the remainder, as NumPy does: 1 // 0.1 is 9.
            Self::FloorDivide => {
                let rest = a % b;
                let whole = (a - rest) / b;
                let below = rest != 0.0 && (rest < 0.0) != (b < 0.0);
                (if below { whole - 1.0 } else { whole }).round()
            }
            Self::Remainder => {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
            Self::Power => a.powf(b),
            // The parser lets only whole numbers and conditions get here.
            _ => f64::NAN,
        })
    }

    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Equal => a == b,
            _ => a != b,
        }
    }
}
