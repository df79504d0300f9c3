//! How the configuration of a checkpoint differs from that of now.

/// What differs between two configurations, by key; nothing if they are the same.
pub(super) fn changes(before: &toml::Table, now: &toml::Table) -> Option<String> {
    let mut found = Vec::new();
    let value = |table: &toml::Table| toml::Value::Table(table.clone());
    compare("", Some(&value(before)), Some(&value(now)), &mut found);
    (!found.is_empty()).then(|| found.join(", "))
}

fn compare(
    key: &str,
    before: Option<&toml::Value>,
    now: Option<&toml::Value>,
    found: &mut Vec<String>,
) {
    use toml::Value::{Array, Table};
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match (before, now) {
        (Some(Table(before)), Some(Table(now))) => {
            let keys: std::collections::BTreeSet<&String> =
                before.keys().chain(now.keys()).collect();
            for name in keys {
                compare(&below(name), before.get(name), now.get(name), found);
            }
        }
        (Some(Array(before)), Some(Array(now)))
            if before.len() == now.len() && before.iter().any(toml::Value::is_table) =>
        {
            for (number, (before, now)) in before.iter().zip(now).enumerate() {
                compare(&below(&number.to_string()), Some(before), Some(now), found);
            }
        }
        (before, now) if before != now => {
            let text = |value: Option<&toml::Value>| {
                value.map_or("not there".to_owned(), |value| value.to_string().replace('\n', " "))
            };
            found.push(format!("{key} was {} and is {}", text(before), text(now)));
        }
        _ => {}
    }
}
