//! Conditions on the coordinates of voxels, as text: what google/ffn hands to Python's `eval` is parsed here,
//! and nothing but arithmetic can be written.
//!
//! Names are `z`, `y`, `x`: coordinates in the volume, whole numbers. Numbers, `True`, `False`, parentheses;
//! from weak to strong: `or`, `and`, `not`, comparisons (which chain), `|`, `^`, `&`, `+ -`, `* / // %`,
//! signs and `~`, `**`. Functions: `abs`, `sqrt`, `min`, `max`, and under NumPy's names, with `np.` or without,
//! `minimum`, `maximum`, `logical_and`, `logical_or`, `logical_not`. Whole numbers are 64 bits and wrap, `//`
//! and `%` round down, dividing a whole number by 0 gives 0: all as in NumPy. `and`, `or`, `not`, which NumPy
//! refuses for arrays, mean `&`, `|`, `~` of conditions.

mod parser;
mod token;
mod tree;

use crate::error::{Error, Result};
use tree::{Kind, Node, Value};

/// Characters of an expression, at most.
const LONGEST: usize = 4096;

/// A condition that is parsed and known to be one.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    root: Node,
}

impl Expression {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`Error::Usage`] names the column, counted from 1, expected and found.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            let message = format!("expected at most {LONGEST} characters, found {}", text.len());
            return Err(Error::Usage(message));
        }
        let (root, kind) = parser::parse(text)?;
        if kind != Kind::Condition {
            let message = "column 1: expected a condition, such as z < 10, found a number";
            return Err(Error::Usage(message.into()));
        }
        Ok(Self { root })
    }

    /// Whether it holds at a voxel of the volume. Cost: a few nanoseconds a term.
    pub fn holds(&self, zyx: [i64; 3]) -> bool {
        self.root.value(zyx) == Value::Bool(true)
    }
}

/// An error at a byte of the text.
fn wrong(text: &str, at: usize, why: &str) -> Error {
    let before = text.get(..at).unwrap_or(text);
    Error::Usage(format!("column {}: {why}", before.chars().count() + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(text: &str, zyx: [i64; 3]) -> bool {
        Expression::parse(text).unwrap().holds(zyx)
    }

    #[test]
    fn precedence_is_that_of_python() {
        for (text, expected) in [
            ("z == 3 or y == 9 and x == 9", true),
            ("not z == 4 and y == 4", true),
            ("(z < 4) & (y > 3) | (x > 100)", true),
            ("~(z < 4) | ~(y < 4)", true),
            ("2 + 3 * z == 11", true),
            ("-z ** 2 == -9", true),
            ("2 ** 3 ** 2 == 512", true),
            ("2 ** -1 == 0.5", true),
            ("-7 // 2 == -4", true),
            ("1 // 0.1 == 9", true),
            ("-7 % 3 == 2", true),
            ("7.5 // -2 == -4", true),
            ("7.5 % -2 == -0.5", true),
            ("z / 2 == 1.5", true),
            ("1 < z < 4 < x", true),
            ("1 < z < 3", false),
            ("5 & 6 == 4", true),
            ("5 | 2 == 7", true),
            ("5 ^ 1 == 4", true),
            ("~z == -4", true),
            ("z // 0 == 0 and z % 0 == 0", true),
            ("abs(z - y) == 1 and np.abs(y - z) == 1", true),
            ("max(z, y, x) == 5 and np.minimum(z, y) == 3 and sqrt(16) == 4", true),
            ("np.logical_and(z < 4, numpy.logical_not(x < 4))", true),
            ("True and not False", true),
            ("(z < 4) == (y < 5)", true),
            (" 1.5e1 >= .5 + 14.5 ", true),
            ("9223372036854775807 + z < 0", true),
            ("((z - 3)**2 + (y - 4)**2 + (x - 5)**2) <= 0", true),
        ] {
            assert_eq!(holds(text, [3, 4, 5]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_an_error_with_its_column() {
        for (text, column) in [
            ("", 1),
            ("z", 1),
            ("z +", 4),
            ("z < 3)", 6),
            ("(z < 3", 7),
            ("w < 3", 1),
            ("z < 3 < (y < 2)", 9),
            ("z and y", 1),
            ("not z", 5),
            ("(z < 3) + 1", 1),
            ("(z < 3) & 1", 11),
            ("1.5 & 2 == 3", 1),
            ("~1.5 == 3", 2),
            ("abs(z, y) < 3", 1),
            ("min() < 3", 1),
            ("max(z, y < 3) < 3", 8),
            ("99999999999999999999 < z", 1),
            ("z << 3", 4),
            ("z = 3", 3),
            ("z < 3 # all", 7),
            ("z < 'a'", 5),
            ("__import__('os').system('rm -rf /')", 1),
            ("(lambda: 0)() == z", 2),
            ("z.__class__ == 3", 2),
            ("[z for z in y]", 1),
            ("open(z) < 3", 1),
            ("np.load(z) < 3", 1),
            ("z < 3; y", 6),
            ("z < 3 if y else x", 7),
            ("é < z", 1),
            ("z < é", 5),
        ] {
            let error = Expression::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("column {column}: ")), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        for text in ["(".repeat(4000), "~".repeat(4000), "2**".repeat(1300), "not ".repeat(1000)] {
            let error = Expression::parse(&format!("{text}z < 3")).unwrap_err().to_string();
            assert!(error.contains("deep"), "{error}");
        }
        assert!(Expression::parse(&" ".repeat(5000)).is_err());
        // Long without being deep.
        assert!(holds(&format!("z < 3{}", " or z < 3".repeat(400)), [0; 3]));
        assert!(holds(&format!("0{} == 1000", "+1".repeat(1000)), [0; 3]));
    }

    /// An expression as text, fully in parentheses, with its value at a voxel by a reckoning of its own.
    #[derive(Debug, Clone)]
    struct Number(String, i64);

    fn number(zyx: [i64; 3]) -> impl Strategy<Value = Number> {
        let leaf = prop_oneof![
            (0i64..20).prop_map(|v| Number(v.to_string(), v)),
            (0usize..3).prop_map(move |a| Number(["z", "y", "x"][a].into(), zyx[a])),
        ];
        leaf.prop_recursive(4, 24, 2, |inner| {
            let op = prop::sample::select(vec!["+", "-", "*", "//", "%", "min", "abs", "u-"]);
            (inner.clone(), op, inner).prop_map(|(Number(a, v), op, Number(b, w))| match op {
                "+" => Number(format!("({a} + {b})"), v + w),
                "-" => Number(format!("({a}-{b})"), v - w),
                "*" => Number(format!("({a} * {b})"), v.wrapping_mul(w)),
                "//" if w == 0 => Number(format!("({a} // {b})"), 0),
                "//" => Number(format!("({a} // {b})"), (v as f64 / w as f64).floor() as i64),
                "%" if w == 0 => Number(format!("({a} % {b})"), 0),
                "%" => {
                    let floor = (v as f64 / w as f64).floor() as i64;
                    Number(format!("({a} % {b})"), v - floor * w)
                }
                "min" => Number(format!("min({a}, {b})"), v.min(w)),
                "abs" => Number(format!("abs({a})"), v.abs()),
                _ => Number(format!("(-{a})"), -v),
            })
        })
    }

    fn condition() -> impl Strategy<Value = (String, [i64; 3], bool)> {
        prop::array::uniform3(0i64..12).prop_flat_map(|zyx| {
            let ops = vec!["<", "<=", ">", ">=", "==", "!="];
            let leaf = (number(zyx), prop::sample::select(ops), number(zyx)).prop_map(
                |(Number(a, v), op, Number(b, w))| {
                    let holds = match op {
                        "<" => v < w,
                        "<=" => v <= w,
                        ">" => v > w,
                        ">=" => v >= w,
                        "==" => v == w,
                        _ => v != w,
                    };
                    (format!("({a} {op} {b})"), holds)
                },
            );
            let tree = leaf.prop_recursive(3, 12, 2, |inner| {
                let op = prop::sample::select(vec!["&", "|", "and", "or", "^", "not", "~"]);
                (inner.clone(), op, inner).prop_map(|((a, v), op, (b, w))| match op {
                    "&" | "and" => (format!("({a} {op} {b})"), v && w),
                    "|" | "or" => (format!("({a} {op} {b})"), v || w),
                    "^" => (format!("({a} ^ {b})"), v != w),
                    _ => (format!("({op} {a})"), !v),
                })
            });
            tree.prop_map(move |(text, holds)| (text, zyx, holds))
        })
    }

    proptest! {
        #[test]
        fn values_are_those_of_a_tiny_evaluator((text, zyx, expected) in condition()) {
            prop_assert_eq!(holds(&text, zyx), expected, "{}", text);
        }

        #[test]
        fn no_text_is_too_bad(text in "[zyx0-9.()<>=&|~^+*/%, a-f!-]{0,40}", zyx in prop::array::uniform3(0i64..9)) {
            if let Ok(expression) = Expression::parse(&text) {
                expression.holds(zyx);
            }
        }
    }
}
