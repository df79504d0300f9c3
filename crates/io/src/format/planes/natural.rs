//! Natural order of names: numbers by value, so that `z2` comes before `z10`.

use std::cmp::Ordering;

/// Compares two names, runs of digits by their value.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let (l, l_rest) = part(left);
        let (r, r_rest) = part(right);
        let order = match (digits(l), digits(r)) {
            // Without leading zeros, the longer number is the greater.
            (Some(l), Some(r)) => l.len().cmp(&r.len()).then_with(|| l.cmp(r)),
            _ => l.cmp(r),
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (l_rest, r_rest);
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The longest start that is all digits or has none, and the rest.
fn part(text: &str) -> (&str, &str) {
    let number = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != number).unwrap_or(text.len());
    text.split_at(end)
}

fn digits(part: &str) -> Option<&str> {
    part.starts_with(|c: char| c.is_ascii_digit()).then(|| part.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let mut names = ["z10b", "z2", "z010a", "a", "z1", "z", "z99999999999999999999999"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["a", "z", "z1", "z2", "z010a", "z10b", "z99999999999999999999999"]);
    }
}
