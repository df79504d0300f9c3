//! Near parts of one object become one request.

use crate::store::{ByteRange, Request};

/// Bytes between two parts that are fetched for nothing rather than by a request of their own. At
/// 100 MB/s they take 1.3 ms; a request takes 20 to 100 ms.
pub const MAX_GAP_BYTES: u64 = 128 << 10;
/// Most bytes of a request made of several parts. A part that is longer is a request of its own.
pub const MAX_MERGED_BYTES: u64 = 8 << 20;

/// One request to be sent, and the requests that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) key: String,
    pub(super) range: ByteRange,
    pub(super) limit: u64,
    pub(super) parts: Vec<Part>,
}

/// Where the answer to a request is in the merged one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Number of the request.
    pub(super) index: usize,
    pub(super) range: ByteRange,
    pub(super) limit: u64,
}

/// The requests to send for these. Each request is in exactly one of them.
pub(super) fn coalesce(requests: &[Request<'_>]) -> Vec<Merged> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|i| (requests[*i].key, span(requests[*i].range)));
    let mut merged: Vec<Merged> = Vec::new();
    for index in order {
        let request = requests[index];
        let part = Part { index, range: request.range, limit: request.limit };
        let joined = merged.last().and_then(|last| join(last, &request));
        match (joined, merged.last_mut()) {
            (Some(length), Some(last)) => {
                last.range = ByteRange::Span { start: start(last.range), length };
                last.limit = length;
                last.parts.push(part);
            }
            _ => merged.push(Merged {
                key: request.key.to_owned(),
                range: request.range,
                limit: request.limit,
                parts: vec![part],
            }),
        }
    }
    merged
}

/// Length of the span of both, if they are to be fetched together. `request` does not start before.
fn join(last: &Merged, request: &Request<'_>) -> Option<u64> {
    let (first, first_length) = span(last.range).filter(|_| last.key == request.key)?;
    let (second, length) = span(request.range)?;
    let within_limits = first_length <= last.limit && length <= request.limit;
    let (end, second_end) = (first.checked_add(first_length)?, second.checked_add(length)?);
    let total = end.max(second_end) - first;
    let near = second <= end.saturating_add(MAX_GAP_BYTES);
    (within_limits && near && length > 0 && total <= MAX_MERGED_BYTES).then_some(total)
}

/// Start and length; sorts whole objects and ends of objects before spans.
fn span(range: ByteRange) -> Option<(u64, u64)> {
    match range {
        ByteRange::Span { start, length } => Some((start, length)),
        ByteRange::All | ByteRange::Last(_) => None,
    }
}

fn start(range: ByteRange) -> u64 {
    span(range).map_or(0, |(start, _)| start)
}

impl Merged {
    /// The part of the answer that a request asked for; `None` if it is not all there.
    pub(super) fn slice<'a>(&self, part: &Part, answer: &'a [u8]) -> Option<&'a [u8]> {
        let (offset, length) = span(part.range)?;
        let from = usize::try_from(offset.checked_sub(start(self.range))?).ok()?;
        answer.get(from..from.checked_add(usize::try_from(length).ok()?)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(key: &'static str, start: u64, length: u64) -> Request<'static> {
        Request { key, range: ByteRange::Span { start, length }, limit: 64 << 20 }
    }

    fn ranges(requests: &[Request<'_>]) -> Vec<(String, u64, u64, usize)> {
        let all = coalesce(requests).into_iter();
        all.map(|m| {
            let (start, length) = span(m.range).unwrap();
            (m.key, start, length, m.parts.len())
        })
        .collect()
    }

    #[test]
    fn near_parts_of_one_object_are_one_request() {
        let far = 1000 + MAX_GAP_BYTES + 1;
        let found = ranges(&[
            request("a", 500, 500),
            request("b", 0, 10),
            request("a", far, 10),
            request("a", 0, 10),
        ]);
        let expected = [("a", 0, 1000, 2), ("a", far, 10, 1), ("b", 0, 10, 1)];
        assert_eq!(found, expected.map(|(k, s, l, n)| (k.to_owned(), s, l, n)));
    }

    #[test]
    fn merged_requests_are_bounded() {
        let found = ranges(&[request("a", 0, MAX_MERGED_BYTES), request("a", MAX_MERGED_BYTES, 1)]);
        assert_eq!(found.len(), 2);
    }

    proptest! {
        #[test]
        fn every_request_is_answered_by_its_own_bytes(
            spans in prop::collection::vec((0u64..3, 0u64..1_000_000, 1u64..200_000), 1..40)
        ) {
            let object: Vec<u8> = (0..1_200_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
            let keys = ["a", "b", "c"];
            let requests: Vec<_> =
                spans.iter().map(|(k, s, l)| request(keys[*k as usize], *s, *l)).collect();
            let mut seen = vec![0; requests.len()];
            for merged in coalesce(&requests) {
                let (start, length) = span(merged.range).unwrap();
                let wanted: u64 = merged.parts.iter().map(|p| span(p.range).unwrap().1).sum();
                prop_assert!(merged.parts.len() == 1 || length <= MAX_MERGED_BYTES);
                prop_assert!(length <= wanted + MAX_GAP_BYTES * merged.parts.len() as u64);
                let answer = &object[start as usize..(start + length) as usize];
                for part in &merged.parts {
                    seen[part.index] += 1;
                    prop_assert_eq!(requests[part.index].key, &merged.key);
                    prop_assert_eq!(requests[part.index].range, part.range);
                    let (start, length) = span(part.range).unwrap();
                    let expected = &object[start as usize..(start + length) as usize];
                    prop_assert_eq!(merged.slice(part, answer).unwrap(), expected);
                }
            }
            prop_assert!(seen.iter().all(|n| *n == 1));
        }
    }
}
