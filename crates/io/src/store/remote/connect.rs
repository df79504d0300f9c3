//! Clients of the services, with credentials from the environment alone.

use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::http::HttpBuilder;
use object_store::{HeaderMap, HeaderValue, ObjectStore, StaticCredentialProvider};

use crate::error::{Error, Place, Result};

use super::RemoteOptions;
use super::guard::GuardedConnector;
use super::url::Service;

/// A client of the service that a URL names. Nothing is sent yet.
pub(super) fn connect(service: &Service, options: &RemoteOptions) -> Result<Arc<dyn ObjectStore>> {
    install_crypto();
    let client = match service {
        Service::Http { origin } => http(origin, options),
        Service::S3 { bucket } => s3(bucket, options),
        Service::Gcs { bucket } => gcs(bucket, options),
    };
    client.map_err(|e| Error::usage(Place::new(service.location()), e.to_string()))
}

/// TLS by ring, unless the program has chosen another implementation for the process.
fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails if another thread was faster: then there is one too.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn http(origin: &str, options: &RemoteOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    // Servers that compress on the fly do not tell lengths.
    let headers = accept_encoding("identity");
    let client = options.client_options(origin.starts_with("http://"));
    let store = HttpBuilder::new()
        .with_url(origin)
        .with_http_connector(GuardedConnector)
        .with_client_options(client.with_default_headers(headers))
        .with_retry(options.retry_config())
        .build()?;
    Ok(Arc::new(store))
}

fn s3(bucket: &str, options: &RemoteOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let variable = |names: &[&str]| names.iter().find_map(|name| options.variable(name));
    let endpoint = variable(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    let allow_http = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    let region = variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let (key, secret) = (variable(&["AWS_ACCESS_KEY_ID"]), variable(&["AWS_SECRET_ACCESS_KEY"]));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
        .with_skip_signature(key.is_none() && secret.is_none())
        // Understood by every server that speaks S3.
        .with_disable_bulk_delete(true)
        .with_http_connector(GuardedConnector)
        .with_client_options(options.client_options(allow_http))
        .with_retry(options.retry_config());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(key) = key {
        builder = builder.with_access_key_id(key);
    }
    if let Some(secret) = secret {
        builder = builder.with_secret_access_key(secret);
    }
    if let Some(token) = variable(&["AWS_SESSION_TOKEN"]) {
        builder = builder.with_token(token);
    }
    Ok(Arc::new(builder.build()?))
}

fn gcs(bucket: &str, options: &RemoteOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let endpoint = options
        .variable("STORAGE_EMULATOR_HOST")
        .map(|host| if host.contains("://") { host } else { format!("http://{host}") });
    let allow_http = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    // Objects stored compressed are sent as they are, with their length, only to who takes gzip.
    let client = options.client_options(allow_http).with_default_headers(accept_encoding("gzip"));
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_http_connector(GuardedConnector)
        .with_client_options(client)
        .with_retry(options.retry_config());
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(&endpoint);
    }
    builder = match options.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(path) => builder.with_application_credentials(path),
        None => {
            let nobody = GcpCredential { bearer: String::new() };
            let nobody = Arc::new(StaticCredentialProvider::new(nobody));
            builder.with_credentials(nobody).with_skip_signature(true)
        }
    };
    Ok(Arc::new(builder.build()?))
}

fn accept_encoding(value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("accept-encoding", HeaderValue::from_static(value));
    headers
}
