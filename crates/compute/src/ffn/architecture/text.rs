//! Architectures as words, as checkpoints, settings and people write them.

use std::fmt;
use std::str::FromStr;

use super::{Architecture, Family, Padding, SeedUpdate};

const FAMILIES: [(Family, &str); 2] =
    [(Family::ConvStack, "ConvStack"), (Family::ResConvStack, "ResConvStack")];
const PADDINGS: [(Padding, &str); 2] = [(Padding::Same, "same"), (Padding::Valid, "valid")];
const UPDATES: [(SeedUpdate, &str); 2] =
    [(SeedUpdate::Additive, "additive"), (SeedUpdate::Direct, "direct")];

fn name<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(of, _)| of == value).map_or("", |(_, name)| name)
}

fn value<T: Copy>(names: &[(T, &str)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(_, name)| *name == text).map(|(value, _)| *value);
    found.ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
        format!("expected {}, found '{text}'", all.join(" or "))
    })
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&FAMILIES, self))
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&PADDINGS, self))
    }
}

impl fmt::Display for SeedUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&UPDATES, self))
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        value(&FAMILIES, text)
    }
}

impl FromStr for Padding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        value(&PADDINGS, text)
    }
}

impl FromStr for SeedUpdate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        value(&UPDATES, text)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} depth={} num_convs={}", self.family, self.depth, self.num_convs)?;
        write!(f, " features={}", features_text(&self.features))?;
        write!(f, " kernel_zyx={}", joined(&self.kernel_zyx))?;
        write!(f, " layer_norm={} padding={}", self.layer_norm, self.padding)?;
        write!(f, " update={} image_channels={}", self.update, self.image_channels)
    }
}

/// Outputs of convolutions as architectures write them: one number if all are equal, else all of them.
pub fn features_text(all: &[usize]) -> String {
    match all {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => first.to_string(),
        _ => joined(all),
    }
}

fn joined(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

impl Architecture {
    /// The first name whose value another text of an architecture gives differently; what the text
    /// leaves out, or has besides, does not count.
    pub(in crate::ffn) fn differs_from(&self, text: &str) -> Option<String> {
        let own = self.to_string();
        let said = |of: &str, name: &str| -> Option<String> {
            let values = of.split(' ').filter_map(|word| word.split_once('='));
            values.filter(|(n, _)| *n == name).map(|(_, value)| value.to_owned()).next()
        };
        own.split(' ').skip(1).filter_map(|word| word.split_once('=')).find_map(|(name, found)| {
            let expected = said(text, name).filter(|expected| expected != found)?;
            Some(format!("{name}: its metadata says {expected}, its tensors are of {found}"))
        })
    }

    /// Takes from the text of an architecture what tensors do not tell.
    ///
    /// # Errors
    /// A word that is not known.
    pub(in crate::ffn) fn take_unseen(&mut self, text: &str) -> Result<(), String> {
        let mut words = text.split(' ');
        let family: Family = words.next().unwrap_or_default().parse()?;
        if family != self.family {
            let found = self.family;
            return Err(format!("its metadata says {family}, its tensors are of a {found}"));
        }
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            match name {
                "padding" => self.padding = value.parse().map_err(|e| format!("padding: {e}"))?,
                "update" => self.update = value.parse().map_err(|e| format!("update: {e}"))?,
                _ => (),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn small() -> Architecture {
        Architecture {
            family: Family::ResConvStack,
            depth: 1,
            num_convs: 2,
            features: vec![4, 8, 4, 8],
            kernel_zyx: [3; 3],
            layer_norm: true,
            padding: Padding::Valid,
            update: SeedUpdate::Direct,
            image_channels: 2,
        }
    }

    #[test]
    fn text_says_everything() {
        let text = small().to_string();
        assert_eq!(
            text,
            "ResConvStack depth=1 num_convs=2 features=4,8,4,8 kernel_zyx=3,3,3 layer_norm=true \
             padding=valid update=direct image_channels=2"
        );
        assert_eq!(small().differs_from(&text), None);
        let mut other = small();
        (other.padding, other.update) = (Padding::Same, SeedUpdate::Additive);
        other.take_unseen(&text).unwrap();
        assert_eq!(other, small());
    }

    #[test]
    fn what_contradicts_is_named() {
        let text = small().to_string().replace("depth=1", "depth=3");
        let why = small().differs_from(&text).unwrap();
        assert_eq!(why, "depth: its metadata says 3, its tensors are of 1");
        let why = small().take_unseen("ConvStack depth=1").unwrap_err();
        assert!(why.contains("says ConvStack"), "{why}");
        let why = small().take_unseen("ResConvStack padding=wide").unwrap_err();
        assert_eq!(why, "padding: expected same or valid, found 'wide'");
    }

    #[test]
    fn flop_of_the_published_networks() {
        let mut network = small();
        (network.family, network.depth, network.padding) = (Family::ConvStack, 12, Padding::Same);
        (network.features, network.image_channels) = (vec![32; 24], 1);
        assert_eq!(network.flop([33; 3]) as f64 / 1e7, 4583.1462336);
        (network.family, network.depth) = (Family::ResConvStack, 20);
        network.features = vec![32; 42];
        assert_eq!((network.flop([33; 3]) as f64 / 1e8).round(), 816.0);
        network.padding = Padding::Valid;
        assert_eq!(network.lost_zyx(), [42; 3]);
    }
}
