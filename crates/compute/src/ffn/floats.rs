//! Numbers of checkpoints as f32.

use half::{bf16, f16};

/// Bytes of a number of this type, by NumPy's name; `None` where the type is not one of ours.
pub(super) fn size_of(dtype: &str) -> Option<usize> {
    match dtype {
        "float64" => Some(8),
        "float32" => Some(4),
        "float16" | "bfloat16" => Some(2),
        _ => None,
    }
}

/// Little-endian numbers of a type, behind those that are there already. What is left over at the end
/// is dropped.
///
/// # Errors
/// The types there are, if it is none of them.
pub(super) fn append(dtype: &str, bytes: &[u8], to: &mut Vec<f32>) -> Result<(), String> {
    match dtype {
        "float64" => to.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
        "float32" => to.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        "float16" => {
            to.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()));
        }
        "bfloat16" => {
            to.extend(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()));
        }
        _ => {
            return Err(format!(
                "expected type float32, float16, bfloat16 or float64, found {dtype}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_type_gives_the_same_numbers() {
        let numbers = [1.0, -0.5, 3.25, 0.0];
        let all: [(&str, Vec<u8>); 4] = [
            ("float64", numbers.iter().flat_map(|v: &f64| v.to_le_bytes()).collect()),
            ("float32", numbers.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect()),
            ("float16", numbers.iter().flat_map(|v| f16::from_f64(*v).to_le_bytes()).collect()),
            ("bfloat16", numbers.iter().flat_map(|v| bf16::from_f64(*v).to_le_bytes()).collect()),
        ];
        for (dtype, bytes) in all {
            assert_eq!(bytes.len(), numbers.len() * size_of(dtype).unwrap());
            let mut found = Vec::new();
            append(dtype, &bytes, &mut found).unwrap();
            assert_eq!(found, [1.0, -0.5, 3.25, 0.0], "{dtype}");
        }
        let error = append("int32", &[0; 4], &mut Vec::new()).unwrap_err();
        assert!(error.contains("found int32"), "{error}");
    }
}
