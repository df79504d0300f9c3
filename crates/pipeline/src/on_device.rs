//! A device where there is one, else the CPU: what a device cannot do, or fails at, is done all the same.

use exavox_compute::{ComputeDevice, Error};

use crate::progress::{Event, Observer};

/// Runs on a device, if one is given; where that fails, on the CPU, with a warning that says why.
///
/// # Errors
/// What the CPU says.
pub(crate) fn device_or_cpu<T>(
    device: Option<&ComputeDevice>,
    observer: &dyn Observer,
    on_device: impl FnOnce(&ComputeDevice) -> Result<T, Error>,
    on_cpu: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(device) = device.filter(|device| !device.is_cpu()) else { return on_cpu() };
    on_device(device).or_else(|error| {
        observer.notify(&Event::Warning(&format!("{error}; the CPU does it")));
        on_cpu()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn the_plain_cpu_is_not_a_device() {
        let cpu = ComputeDevice::cpu().unwrap();
        let found = device_or_cpu(Some(&cpu), &Silent, |_| Ok(1), || Ok(2));
        assert_eq!(found.unwrap(), 2);
    }
}
