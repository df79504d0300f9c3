//! Text for shells.

/// A word that a POSIX shell takes as it is: quoted where it must be.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,%@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A command line of words.
pub(super) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_shell_gets_back_what_was_quoted(words in prop::collection::vec("[ -~\n]{0,9}", 1..5)) {
            let script = format!("printf '%s\\0' {}", line(words.iter().map(String::as_str)));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            let found = String::from_utf8(output.stdout).unwrap();
            let found: Vec<&str> = found.trim_end_matches('\0').split('\0').collect();
            let expected = words.join("\0");
            prop_assert_eq!(found.join("\0"), expected.trim_end_matches('\0'));
        }
    }
}
