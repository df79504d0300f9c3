//! Errors of the client as errors of this crate: one line, with the cause.

use std::error::Error as StdError;
use std::io::ErrorKind;

use object_store::client::{HttpError, HttpErrorKind};

use crate::error::{Error, Place};

/// Longest message taken from a server or client.
const MAX_MESSAGE_CHARS: usize = 400;

/// An error of the client with the place that was asked for.
pub(super) fn failed(place: &Place, error: &object_store::Error) -> Error {
    use object_store::Error as E;
    let io =
        |kind: ErrorKind, text: String| Error::io(place.clone(), std::io::Error::new(kind, text));
    match error {
        E::PermissionDenied { .. } => {
            let why = "access denied (403): no permission, or wrong or missing credentials";
            io(ErrorKind::PermissionDenied, format!("{why}: {}", one_line(error)))
        }
        E::Unauthenticated { .. } => {
            let why = "access denied (401): credentials are missing or not valid";
            io(ErrorKind::PermissionDenied, format!("{why}: {}", one_line(error)))
        }
        E::NotFound { .. } => io(ErrorKind::NotFound, one_line(error)),
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            Error::unsupported(place.clone(), one_line(error))
        }
        E::InvalidPath { .. } => Error::format(place.clone(), "not a valid key for this store"),
        _ => io(kind(error), one_line(error)),
    }
}

/// The same error again, for another request that failed with it.
pub(super) fn again(error: &Error, place: Place) -> Error {
    match error {
        Error::Io { source, .. } => {
            Error::io(place, std::io::Error::new(source.kind(), source.to_string()))
        }
        Error::Unsupported { message, .. } => Error::unsupported(place, message.clone()),
        Error::Usage { message, .. } => Error::usage(place, message.clone()),
        other => Error::format(place, other.to_string()),
    }
}

/// An error of this type among the causes.
pub(super) fn cause<T: StdError + 'static>(error: &object_store::Error) -> Option<&T> {
    causes(error).find_map(<dyn StdError>::downcast_ref)
}

fn kind(error: &object_store::Error) -> ErrorKind {
    match cause::<HttpError>(error).map(HttpError::kind) {
        Some(HttpErrorKind::Timeout) => ErrorKind::TimedOut,
        Some(HttpErrorKind::Connect) => ErrorKind::NotConnected,
        Some(HttpErrorKind::Interrupted | HttpErrorKind::Request) => ErrorKind::ConnectionAborted,
        _ => ErrorKind::Other,
    }
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    fn next<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        (*error).source()
    }
    std::iter::successors(error.source(), next)
}

/// Message and deepest cause, without line breaks.
fn one_line(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    if let Some(root) = causes(error).last().map(ToString::to_string)
        && !text.contains(&root)
    {
        text = format!("{text}: {root}");
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
