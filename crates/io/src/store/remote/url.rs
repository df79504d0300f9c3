//! URLs of remote volumes, taken apart into a store and a prefix of its keys.

use percent_encoding::percent_decode_str;

use crate::error::{Error, Place, Result};
use crate::store::check_key;

/// What answers at a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// `https://host:port`, without a path.
    Http { origin: String },
    /// A bucket of S3.
    S3 { bucket: String },
    /// A bucket of Google Cloud Storage.
    Gcs { bucket: String },
}

/// A URL: the store is the host or bucket, so that what is above a volume can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteUrl {
    pub(super) service: Service,
    /// Prefix of keys, empty for the top of the store.
    pub(super) prefix: String,
}

impl RemoteUrl {
    /// Parses `http://`, `https://`, `s3://` and `gs://` URLs. Paths of HTTP are percent-decoded, keys of
    /// buckets are taken as they are.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let usage = |message: &str| Error::usage(Place::new(without_password(url)), message);
        let (scheme, rest) = url.split_once("://").ok_or_else(|| usage("not a URL"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let scheme = scheme.to_ascii_lowercase();
        let (service, prefix) = match scheme.as_str() {
            "http" | "https" => {
                check_http(url, authority)?;
                let prefix =
                    decode_path(path).ok_or_else(|| usage("the path is not plain UTF-8"))?;
                (Service::Http { origin: format!("{scheme}://{authority}") }, prefix)
            }
            "s3" => (Service::S3 { bucket: authority.to_owned() }, path.to_owned()),
            "gs" => (Service::Gcs { bucket: authority.to_owned() }, path.to_owned()),
            _ => return Err(Error::unsupported(Place::new(url), "this scheme")),
        };
        if !matches!(service, Service::Http { .. }) && !is_bucket(authority) {
            return Err(usage("the name of the bucket is not valid"));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            check_key(&service.location(), &prefix)?;
        }
        Ok(Self { service, prefix })
    }
}

impl Service {
    /// URL of the store, for messages.
    pub(super) fn location(&self) -> String {
        match self {
            Self::Http { origin } => origin.clone(),
            Self::S3 { bucket } => format!("s3://{bucket}"),
            Self::Gcs { bucket } => format!("gs://{bucket}"),
        }
    }
}

fn check_http(url: &str, authority: &str) -> Result<()> {
    let place = || Place::new(without_password(url));
    if authority.contains('@') {
        return Err(Error::unsupported(place(), "credentials in a URL"));
    }
    if url.contains(['?', '#']) {
        let message = "a query or fragment in a URL: keys are appended to its path";
        return Err(Error::unsupported(place(), message));
    }
    if authority.is_empty() {
        return Err(Error::usage(place(), "the URL has no host"));
    }
    Ok(())
}

/// The parts of a path decoded; `None` if that is not text, or would add parts.
fn decode_path(path: &str) -> Option<String> {
    let decode = |part| {
        let part = percent_decode_str(part).decode_utf8().ok()?;
        (!part.contains('/')).then(|| part.into_owned())
    };
    let parts: Option<Vec<String>> = path.split('/').map(decode).collect();
    Some(parts?.join("/"))
}

fn is_bucket(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && !matches!(name, "." | "..") && name.chars().all(good)
}

/// The URL as messages may show it.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_the_host_or_bucket() {
        let parts = |url: &str| {
            let url = RemoteUrl::parse(url).unwrap();
            (url.service.location(), url.prefix)
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(parts("https://h:81/a/v.zarr/"), pair("https://h:81", "a/v.zarr"));
        assert_eq!(parts("HTTP://[::1]:80"), pair("http://[::1]:80", ""));
        assert_eq!(parts("http://h/a%20b/%C3%A9"), pair("http://h", "a b/é"));
        assert_eq!(parts("s3://b/a%20b/c?d"), pair("s3://b", "a%20b/c?d"));
        assert_eq!(parts("gs://b.c"), pair("gs://b.c", ""));
    }

    #[test]
    fn what_is_not_a_store_is_refused() {
        for (url, why) in [
            ("http://h/v?token=1", "query"),
            ("http://h/v#x", "fragment"),
            ("https:///v", "no host"),
            ("s3:///v", "bucket"),
            ("s3://a b/v", "bucket"),
            ("gs://../v", "bucket"),
            ("s3://b/../c", "valid key"),
            ("http://h/a/%2e%2e/c", "valid key"),
            ("http://h/a%2Fb", "plain"),
            ("http://h/%ff", "UTF-8"),
            ("ftp://h/a", "scheme"),
        ] {
            let message = RemoteUrl::parse(url).unwrap_err().to_string();
            assert!(message.contains(why), "{url}: {message}");
        }
    }

    #[test]
    fn passwords_do_not_reach_messages() {
        let message = RemoteUrl::parse("https://me:secret@h/v").unwrap_err().to_string();
        assert!(message.contains("credentials") && !message.contains("secret"), "{message}");
    }
}
