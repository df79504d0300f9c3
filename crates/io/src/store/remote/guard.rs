//! What lies between the client and the network: bounds on answers that a client would read whole.

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use object_store::{ClientOptions, HeaderValue};

/// Length of an object whose server does not tell it.
pub(super) const UNKNOWN_LENGTH: u64 = u64::MAX;
/// Most bytes of an error page that are read.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// Most bytes of one page of a listing, of at most 1000 keys.
const MAX_LISTING_BYTES: usize = 16 << 20;

/// Makes clients with the bounds of this module.
#[derive(Debug)]
pub(super) struct GuardedConnector;

impl HttpConnector for GuardedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Guarded { client }))
    }
}

/// The range that was asked for starts behind the end of the object.
#[derive(Debug, thiserror::Error)]
#[error("the range starts behind the end of the object")]
pub(super) struct OutsideObject {
    /// Length of the object, where the server tells it.
    pub(super) size: Option<u64>,
}

#[derive(Debug)]
struct Guarded {
    client: HttpClient,
}

impl HttpService for Guarded {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let is_listing = request.uri().query().is_some_and(|q| q.contains("list-type="));
            let response = self.client.execute(request).await?;
            if response.status().as_u16() == 416 {
                let size = total_size(&response);
                return Err(HttpError::new(HttpErrorKind::Unknown, OutsideObject { size }));
            }
            if !response.status().is_success() {
                return Ok(truncated(response).await);
            }
            if is_listing {
                return bounded(response).await;
            }
            Ok(with_length(response))
        })
    }
}

/// `Content-Range: bytes */SIZE`.
fn total_size(response: &HttpResponse) -> Option<u64> {
    let text = response.headers().get("content-range")?.to_str().ok()?;
    text.rsplit_once('/')?.1.parse().ok()
}

/// The client refuses objects without a length, which servers that make answers on the fly do not give.
fn with_length(mut response: HttpResponse) -> HttpResponse {
    if response.status().as_u16() == 200 && !response.headers().contains_key("content-length") {
        response.headers_mut().insert("content-length", HeaderValue::from(UNKNOWN_LENGTH));
    }
    response
}

/// The start of an error page; what is behind it, or cannot be read, does not matter.
async fn truncated(response: HttpResponse) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let mut stream = body.bytes_stream();
    let mut text = Vec::new();
    while let Some(Ok(bytes)) = stream.next().await {
        text.extend_from_slice(&bytes[..bytes.len().min(MAX_ERROR_BYTES - text.len())]);
        if text.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    HttpResponse::from_parts(parts, HttpResponseBody::from(text))
}

async fn bounded(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let mut stream = body.bytes_stream();
    let mut text = Vec::new();
    while let Some(bytes) = stream.next().await {
        text.extend_from_slice(&bytes?);
        if text.len() > MAX_LISTING_BYTES {
            let source = std::io::Error::other("a page of a listing is too long");
            return Err(HttpError::new(HttpErrorKind::Decode, source));
        }
    }
    Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(text)))
}
