//! File names by a regular expression with named groups: `regex:DIR/(?P<channel>[^_]+)_z(?P<z>\d+)\.tif`.

use regex::{Regex, RegexBuilder};

use super::pattern::Field;

/// What a name begins with that is a directory and a regular expression.
pub(super) const PREFIX: &str = "regex:";
/// Bytes that a compiled expression may take: ample for names, little beside the volume.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// Directory and expression of a name without its prefix. The expression is for names of files, and so
/// begins behind the last `/` before its first group.
pub(super) fn split(text: &str) -> (&str, &str) {
    let first_group = text.find("(?").unwrap_or(text.len());
    match text[..first_group].rfind('/') {
        Some(0) => ("/", &text[1..]),
        Some(slash) => (&text[..slash], &text[slash + 1..]),
        None => ("", text),
    }
}

/// The expression, to be matched with whole names, and the fields that its groups give.
///
/// # Errors
/// Says what is wrong with the expression, in one line.
pub(super) fn compile(expression: &str) -> Result<(Regex, Vec<Field>), String> {
    // The engine is linear in the length of names; what an expression can cost is its compiled size.
    let regex = RegexBuilder::new(&format!("^(?:{expression})$"))
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| describe(&error))?;
    let mut fields = Vec::new();
    for name in regex.capture_names().flatten() {
        let field = Field::from_name(name).ok_or_else(|| {
            format!("unknown group '{name}'; known are channel, z and t (or time)")
        })?;
        if fields.contains(&field) {
            return Err(format!("group '{name}' and another one are the same field"));
        }
        fields.push(field);
    }
    if fields.is_empty() {
        return Err("no named group; expected (?P<z>...), (?P<channel>...) or both".to_owned());
    }
    Ok((regex, fields))
}

/// The last line of an error: those before draw the expression.
fn describe(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("not a regular expression: {}", last.trim().trim_start_matches("error: "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn directory_ends_before_the_first_group() {
        assert_eq!(split(r"a/b/x_(?P<z>[^/]+)\.tif"), ("a/b", r"x_(?P<z>[^/]+)\.tif"));
        assert_eq!(split(r"(?P<z>\d+)"), ("", r"(?P<z>\d+)"));
        assert_eq!(split(r"/(?P<z>\d+)"), ("/", r"(?P<z>\d+)"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let message = |text: &str| compile(text).unwrap_err();
        assert!(message("(?P<stain>a)").contains("unknown group 'stain'"));
        assert!(message("(?P<t>a)(?P<time>b)").contains("same field"));
        assert!(
            message("(?P<z>a)(?P<z>b)").contains("duplicate"),
            "{}",
            message("(?P<z>a)(?P<z>b)")
        );
        assert!(message("[0-9]+").contains("no named group"));
        let unclosed = message("(?P<z>[0-9");
        assert!(unclosed.contains("not a regular expression") && !unclosed.contains('\n'));
        let large = message(r"(?P<z>(\w{1000}){1000})");
        assert!(large.contains("size"), "{large}");
    }
}
