//! Sums without rounding: they depend neither on order nor on how values are parted.

/// Exponents of f64.
const EXPONENTS: usize = 2048;
const MANTISSA: u64 = (1 << 52) - 1;

/// An exact sum of f64. Mantissas are added up as integers, apart for each exponent, as in Kulisch's long
/// accumulator (Computer Arithmetic and Validity, 2008); an i128 takes 2^73 of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ExactSum {
    /// One for each exponent, or none as long as nothing was added.
    bins: Vec<i128>,
}

impl ExactSum {
    /// A sum of nothing that is ready to be added to.
    pub(super) fn zero() -> Self {
        Self { bins: vec![0; EXPONENTS] }
    }

    /// The sums of the exponents.
    pub(super) fn bins(&self) -> &[i128] {
        &self.bins
    }

    /// Adds a value, so many times. Infinity stays; NaN is not for sums.
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64, times: u64) {
        let bits = value.to_bits();
        let exponent = (bits >> 52) as usize & (EXPONENTS - 1);
        let mantissa = bits & MANTISSA | u64::from(exponent > 0) << 52;
        let part = i128::from(mantissa) * i128::from(times);
        if let Some(bin) = self.bins.get_mut(exponent) {
            *bin += if value.is_sign_negative() { -part } else { part };
        }
    }

    /// Adds to the sum of an exponent, if there is such a one.
    pub(super) fn add_bin(&mut self, exponent: usize, part: i128) -> Option<()> {
        self.bins.resize(EXPONENTS, 0);
        let bin = self.bins.get_mut(exponent)?;
        *bin = bin.checked_add(part)?;
        Some(())
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.bins.is_empty() {
            self.bins.clone_from(&other.bins);
            return;
        }
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a += b);
    }

    /// The f64 nearest to the sum, ties to even.
    pub(super) fn value(&self) -> f64 {
        if self.bins.last().is_some_and(|infinite| *infinite != 0) {
            return f64::INFINITY;
        }
        match self.digits(1) {
            Some(digits) => nearest(&digits),
            None => -self.digits(-1).map_or(0.0, |digits| nearest(&digits)),
        }
    }

    /// Binary digits of the sum times `sign`, in units of 2^-1074, lowest first; `None` if it is negative.
    fn digits(&self, sign: i128) -> Option<Vec<bool>> {
        // Exponents 0 and 1 have the same unit.
        let first = self.bins.iter().take(2).sum::<i128>();
        let parts = std::iter::once(first).chain(self.bins.iter().skip(2).copied());
        let (mut digits, mut carry) = (Vec::with_capacity(EXPONENTS + 128), 0);
        for part in parts.chain(std::iter::repeat_n(0, 128)) {
            carry += sign * part;
            digits.push(carry & 1 == 1);
            carry >>= 1;
        }
        (carry == 0).then_some(digits)
    }
}

/// The f64 nearest to an integer in units of 2^-1074.
fn nearest(digits: &[bool]) -> f64 {
    let Some(top) = digits.iter().rposition(|d| *d) else { return 0.0 };
    let low = top.saturating_sub(52);
    let mut mantissa = digits[low..=top].iter().rev().fold(0_u64, |m, d| m << 1 | u64::from(*d));
    if low > 0 && digits[low - 1] {
        let above_half = digits[..low - 1].contains(&true);
        mantissa += u64::from(above_half || mantissa & 1 == 1);
    }
    // The leading one of the mantissa raises the exponent by one.
    let bits = ((low as u64) << 52) + mantissa;
    f64::from_bits(bits.min(f64::INFINITY.to_bits()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::zero();
        values.iter().for_each(|v| sum.add(*v, 1));
        sum
    }

    proptest! {
        #[test]
        fn one_value_is_its_own_sum(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(sum(&[value]).value(), value);
            prop_assert_eq!(sum(&[value, -value]).value(), 0.0);
        }

        #[test]
        fn two_values_are_rounded_once(a in any::<f64>(), b in any::<f64>(), near in any::<bool>()) {
            let b = if near { f64::from_bits(a.to_bits() ^ (b.to_bits() >> 11)) } else { b };
            prop_assume!(a.is_finite() && b.is_finite() && (a + b).is_finite());
            prop_assert_eq!(sum(&[a, b]).value(), a + b);
        }

        #[test]
        fn order_and_parts_change_nothing(values in prop::collection::vec(-1e9..1e9f64, 1..60), at in 0usize..60) {
            let mut mixed = values.clone();
            mixed.rotate_left(at % values.len());
            let (first, second) = mixed.split_at(at.min(mixed.len()));
            let mut parts = ExactSum::default();
            parts.merge(&sum(first));
            parts.merge(&sum(second));
            prop_assert_eq!(&parts, &sum(&values));
            let whole: Vec<f64> = values.iter().map(|v| v.round()).collect();
            let integer: i128 = whole.iter().map(|v| *v as i128).sum();
            prop_assert_eq!(sum(&whole).value(), integer as f64);
        }
    }

    #[test]
    fn what_cancels_leaves_what_is_small() {
        assert_eq!(sum(&[1e300, 1.0, -1e300, 1e-300]).value(), 1.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).value(), f64::INFINITY);
        assert_eq!(sum(&[f64::MIN, f64::MIN]).value(), f64::NEG_INFINITY);
        assert_eq!(sum(&[f64::INFINITY, 1.0]).value(), f64::INFINITY);
        assert_eq!(ExactSum::default().value(), 0.0);
        let mut many = ExactSum::zero();
        many.add(0.1, u64::MAX);
        assert_eq!(many.value(), 0.1 * 2.0_f64.powi(64));
    }
}
