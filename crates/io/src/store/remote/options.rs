//! How patient a remote store is, and where its credentials come from.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::error::{Error, Place, Result};

/// Time-outs, retries and credentials of a remote store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// Longest time to connect. Default 10 s.
    pub connect_timeout: Duration,
    /// A server that sends nothing for so long has failed; an upload of one part (8 MiB) must be
    /// answered within it. Default 60 s, or the variable `EXAVOX_HTTP_TIMEOUT_S`.
    pub silence_timeout: Duration,
    /// Most repetitions of one request, after connection errors, time-outs and the answers 408, 429 and
    /// 5xx. Default 10.
    pub retries: usize,
    /// No repetition is begun later than this after the first try. Default 90 s.
    pub retry_time: Duration,
    /// Most requests under way at once, of all threads that use the store. Default 48.
    pub concurrency: usize,
    environment: Environment,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(60),
            retries: 10,
            retry_time: Duration::from_secs(90),
            concurrency: 48,
            environment: Environment(None),
        }
    }
}

impl RemoteOptions {
    /// The defaults, changed by `EXAVOX_HTTP_TIMEOUT_S` where that is set.
    ///
    /// # Errors
    /// [`Error::Usage`] if the variable is not a number of seconds above 0.
    pub fn from_environment() -> Result<Self> {
        let options = Self::default();
        match options.variable("EXAVOX_HTTP_TIMEOUT_S") {
            None => Ok(options),
            Some(text) => {
                let seconds = text.parse().ok().filter(|s| (0.001..=86_400.0).contains(s));
                let silence_timeout = seconds.map(Duration::from_secs_f64).ok_or_else(|| {
                    let message = format!("expected seconds above 0, found {text:?}");
                    Error::usage(Place::new("EXAVOX_HTTP_TIMEOUT_S"), message)
                })?;
                Ok(Self { silence_timeout, ..options })
            }
        }
    }

    /// Takes credentials and endpoints from these variables alone, not from those of the process.
    #[must_use]
    pub fn with_variables<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.environment = Environment(Some(pairs.collect()));
        self
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = match &self.environment.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|text| !text.is_empty())
    }

    pub(super) fn retry_config(&self) -> RetryConfig {
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        };
        RetryConfig { backoff, max_retries: self.retries, retry_timeout: self.retry_time }
    }

    /// `allow_http`: whether what is asked for by its own URL may be without encryption.
    pub(super) fn client_options(&self, allow_http: bool) -> ClientOptions {
        ClientOptions::new()
            .with_user_agent(object_store::HeaderValue::from_static(concat!(
                "exavox/",
                env!("CARGO_PKG_VERSION")
            )))
            .with_allow_http(allow_http)
            .with_connect_timeout(self.connect_timeout)
            .with_read_timeout(self.silence_timeout)
            // A large object may take long; silence is what ends a request.
            .with_timeout_disabled()
    }
}

/// Variables instead of those of the process; shown without their values, which can be secrets.
#[derive(Clone)]
struct Environment(Option<BTreeMap<String, String>>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("of the process"),
            Some(variables) => f.debug_list().entries(variables.keys()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let options =
            RemoteOptions::default().with_variables([("AWS_SECRET_ACCESS_KEY", "hidden")]);
        let text = format!("{options:?}");
        assert!(text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains("hidden"), "{text}");
        assert_eq!(options.variable("AWS_SECRET_ACCESS_KEY").as_deref(), Some("hidden"));
        assert_eq!(options.variable("PATH"), None);
    }
}
