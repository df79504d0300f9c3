//! Many requests under way at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::error::{Error, Result};

use super::Client;
use super::coalesce::{Merged, Part};
use super::failure::again;

/// The answer to a request.
type Answer = Result<Option<Vec<u8>>>;

/// Gets all that is asked for, in the order of the requests.
pub(super) async fn get_many(client: Arc<Client>, merged: Vec<Merged>) -> Vec<Answer> {
    let count = merged.iter().map(|merged| merged.parts.len()).sum();
    let mut tasks = JoinSet::new();
    for merged in merged {
        let client = client.clone();
        tasks.spawn(async move { get_merged(&client, merged).await });
    }
    let mut answers: Vec<Option<Answer>> = (0..count).map(|_| None).collect();
    while let Some(joined) = tasks.join_next().await {
        for (index, answer) in joined.into_iter().flatten() {
            if let Some(place) = answers.get_mut(index) {
                *place = Some(answer);
            }
        }
    }
    let lost =
        || Err(Error::io(client.place(""), std::io::Error::other("a request was abandoned")));
    answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
}

async fn get_merged(client: &Client, merged: Merged) -> Vec<(usize, Answer)> {
    let answer = client.get(&merged.key, merged.range, merged.limit).await;
    if let [only] = &merged.parts[..] {
        return vec![(only.index, answer)];
    }
    match answer {
        Ok(None) => merged.parts.iter().map(|part| (part.index, Ok(None))).collect(),
        Ok(Some(bytes)) => {
            let take = |part: &Part| match merged.slice(part, &bytes) {
                Some(bytes) => Ok(Some(bytes.to_vec())),
                None => Err(Error::format(client.place(&merged.key), "the answer is too short")),
            };
            merged.parts.iter().map(|part| (part.index, take(part))).collect()
        }
        // The object may end behind some of the parts.
        Err(Error::Format { .. }) => get_each(client, &merged).await,
        Err(error) => {
            let fail = |part: &Part| (part.index, Err(again(&error, client.place(&merged.key))));
            merged.parts.iter().map(fail).collect()
        }
    }
}

async fn get_each(client: &Client, merged: &Merged) -> Vec<(usize, Answer)> {
    let mut answers = Vec::with_capacity(merged.parts.len());
    for part in &merged.parts {
        answers.push((part.index, client.get(&merged.key, part.range, part.limit).await));
    }
    answers
}
