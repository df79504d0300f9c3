//! A device where there is one, else the CPU: what a device cannot do, or fails at, is done all the same.

use exavox_compute::{ComputeDevice, Error};

use crate::progress::{Event, Observer};

/// Runs on a device, if one is given; what that has no way to do, or fails at, is done by the CPU, with a
/// warning that says why.
///
/// # Errors
/// What the CPU says; of a device, what would be wrong on the CPU too.
pub(crate) fn device_or_cpu<T>(
    device: Option<&ComputeDevice>,
    observer: &dyn Observer,
    on_device: impl FnOnce(&ComputeDevice) -> Result<T, Error>,
    on_cpu: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match device.filter(|device| !device.is_cpu()) {
        Some(device) => or_cpu(on_device(device), observer, on_cpu),
        None => on_cpu(),
    }
}

/// What a device has given, or what the CPU gives in its place.
fn or_cpu<T>(
    found: Result<T, Error>,
    observer: &dyn Observer,
    on_cpu: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match found {
        Err(error @ (Error::NotOnDevice(_) | Error::DeviceFailed { .. })) => {
            observer.notify(&Event::Warning(&format!("{error}; the CPU does it")));
            on_cpu()
        }
        found => found,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::progress::Silent;

    #[derive(Default)]
    struct Warnings(Mutex<Vec<String>>);

    impl Observer for Warnings {
        fn notify(&self, event: &Event<'_>) {
            if let Event::Warning(text) = event {
                self.0.lock().unwrap().push((*text).to_owned());
            }
        }
    }

    #[test]
    fn the_plain_cpu_is_not_a_device() {
        let cpu = ComputeDevice::cpu().unwrap();
        let found = device_or_cpu(Some(&cpu), &Silent, |_| Ok(1), || Ok(2));
        assert_eq!(found.unwrap(), 2);
    }

    #[test]
    fn the_cpu_steps_in_where_a_device_fails_or_cannot() {
        let failed = Error::DeviceFailed { device: "gpu".into(), reason: "out of memory".into() };
        for error in [failed, Error::NotOnDevice("gpu: no float64".into())] {
            let (warnings, text) = (Warnings::default(), error.to_string());
            assert_eq!(or_cpu(Err(error), &warnings, || Ok(2)).unwrap(), 2);
            assert_eq!(warnings.0.into_inner().unwrap(), [format!("{text}; the CPU does it")]);
        }
    }

    #[test]
    fn what_is_wrong_on_the_cpu_too_is_not_tried_again() {
        let warnings = Warnings::default();
        let never = || -> Result<u8, Error> { unreachable!("the CPU was asked") };
        let error = or_cpu(Err(Error::Usage("the flood leaks".into())), &warnings, never);
        assert_eq!(error.unwrap_err().to_string(), "the flood leaks");
        assert_eq!(or_cpu(Ok(1), &warnings, never).unwrap(), 1);
        assert!(warnings.0.into_inner().unwrap().is_empty());
    }
}
