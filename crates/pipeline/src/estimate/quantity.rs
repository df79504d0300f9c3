//! Numbers as people read them: three digits and a unit.

/// `0`, `12.3 GB`, `1.00 EB`.
pub(super) fn bytes(bytes: u128) -> String {
    with_prefix(bytes as f64, "B")
}

/// `45.8 GFLOP`.
pub(super) fn flop(flop: f64) -> String {
    with_prefix(flop, "FLOP")
}

/// All digits up to 99,999, then `11.1 G`.
pub(super) fn count(count: u64) -> String {
    match count {
        0..=9_999 => count.to_string(),
        10_000..=99_999 => format!("{},{:03}", count / 1000, count % 1000),
        _ => with_prefix(count as f64, ""),
    }
}

/// `0.25`, `12.5`, `16,710`, `89.0 M`.
pub(super) fn amount(amount: f64) -> String {
    if amount < 999.5 { three_digits(amount) } else { count(amount.round() as u64) }
}

/// `1 node`, `3 nodes`.
pub(super) fn plural(number: u64, name: &str) -> String {
    format!("{} {name}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `0.25 s`, `42.0 s`, `12.5 min`, `7.25 h`, `3.10 d`, `5.97 y`.
pub(super) fn duration(seconds: f64) -> String {
    let (length, name) = time_unit(seconds);
    format!("{} {name}", three_digits(seconds / length))
}

/// The unit that suits a duration, in seconds, and its name.
pub(super) fn time_unit(seconds: f64) -> (f64, &'static str) {
    const YEAR: f64 = 365.25 * 86_400.0;
    match seconds {
        s if s < 120.0 => (1.0, "s"),
        s if s < 7_200.0 => (60.0, "min"),
        s if s < 172_800.0 => (3_600.0, "h"),
        s if s < 2.0 * YEAR => (86_400.0, "d"),
        _ => (YEAR, "y"),
    }
}

/// `97 %`, `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Money: all digits before the point.
pub(super) fn money(amount: f64) -> String {
    if amount < 1e6 { format!("{amount:.2}") } else { with_prefix(amount, "") }
}

fn with_prefix(value: f64, unit: &str) -> String {
    const PREFIXES: [&str; 9] = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut scaled = value;
    let mut prefix = 0;
    while scaled >= 999.5 && prefix + 1 < PREFIXES.len() {
        scaled /= 1000.0;
        prefix += 1;
    }
    let number = if prefix == 0 { format!("{scaled:.0}") } else { three_digits(scaled) };
    format!("{number} {}{unit}", PREFIXES[prefix]).trim_end().to_owned()
}

/// `0.25`, `12.5`, `125`.
pub(super) fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000_000_000_000_000_000), "1.00 EB");
        assert_eq!(bytes(999_600), "1.00 MB");
        assert_eq!(flop(45.83e9), "45.8 GFLOP");
        assert_eq!(flop(7.6e25), "76.0 YFLOP");
        assert_eq!([count(7), count(12_034), count(11_134_000_000)], ["7", "12,034", "11.1 G"]);
        assert_eq!([duration(0.25), duration(750.0)], ["0.25 s", "12.5 min"]);
        assert_eq!([duration(26_100.0), duration(2e8)], ["7.25 h", "6.34 y"]);
        assert_eq!([percent(0.97), percent(0.0042)], ["97 %", "0.4 %"]);
        assert_eq!([amount(0.0), amount(42.0), amount(16_710.4)], ["0.00", "42.0", "16,710"]);
        assert_eq!([plural(1, "node"), plural(3, "node")], ["1 node", "3 nodes"]);
        assert_eq!([money(12.5), money(1.31e8)], ["12.50", "131 M"]);
    }
}
