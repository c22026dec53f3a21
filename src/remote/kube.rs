//! The API server: what it is asked by everybody, and its errors in words.

use crate::remote::kubeconfig::{no_credentials, renewing};
use crate::text::Redactor;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use std::time::Duration;

/// Longest wait for an answer of the API server.
pub(crate) const DEADLINE: Duration = Duration::from_secs(8);

/// What can go wrong with a request, told apart as the screen does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No answer.
    #[error("the API server does not answer: {0}")]
    Unreachable(String),
    /// A right is missing.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The object is not there.
    #[error("not found: {0}")]
    NotFound(String),
    /// A precondition failed.
    #[error("it is not what it was: {0}")]
    Conflict(String),
    /// Anything else that the server said.
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// The same without secrets: a server may repeat what it was sent.
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        let safe = |why: String| redactor.redact(&why);
        match self {
            Self::Unreachable(why) => Self::Unreachable(safe(why)),
            Self::Forbidden(why) => Self::Forbidden(safe(why)),
            Self::NotFound(why) => Self::NotFound(safe(why)),
            Self::Conflict(why) => Self::Conflict(safe(why)),
            Self::Other(why) => Self::Other(safe(why)),
        }
    }
}

/// Tells errors apart.
#[must_use]
pub fn trouble(e: kube::Error) -> Trouble {
    match e {
        kube::Error::Api(status) => {
            let text = crate::text::clean_line(&status.message);
            match status.code {
                401 => Trouble::Forbidden(format!("the credentials are not accepted: {text}")),
                403 => Trouble::Forbidden(text),
                404 => Trouble::NotFound(text),
                409 | 422 => Trouble::Conflict(text),
                429 | 500..=599 => Trouble::Unreachable(text),
                _ => Trouble::Other(text),
            }
        }
        kube::Error::Auth(e) => Trouble::Forbidden(no_credentials(&e)),
        other => {
            if let Some(e) = renewing(&other) {
                return Trouble::Forbidden(no_credentials(e));
            }
            let mut text = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(e) = source {
                text = e.to_string();
                source = e.source();
            }
            Trouble::Unreachable(crate::text::clean_line(&text))
        }
    }
}

/// A request with a deadline of its own: the client has none.
pub(crate) async fn within<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(answer) => answer.map_err(trouble),
        Err(_) => Err(Trouble::Unreachable(format!("no answer in {} s", DEADLINE.as_secs()))),
    }
}

/// The cluster's identity: the UID of the namespace kube-system.
pub(crate) async fn identity(client: &Client) -> Result<String, Trouble> {
    let namespace = within(Api::<Namespace>::all(client.clone()).get("kube-system")).await?;
    namespace.metadata.uid.ok_or_else(|| Trouble::Other("kube-system has no UID".into()))
}

/// Whether we may; forbidden names verb and resource, which may be a part of one (`pods/exec`).
pub async fn review_access(
    client: &Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: Option<&str>,
) -> Result<(), Trouble> {
    let (plural, sub) = match resource.split_once('/') {
        Some((plural, sub)) => (plural, Some(sub.to_owned())),
        None => (resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(plural.into()),
                subresource: sub,
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = within(api.create(&kube::api::PostParams::default(), &review)).await?;
    if answer.status.is_some_and(|s| s.allowed) {
        return Ok(());
    }
    let place = namespace.map(|n| format!(" in namespace {n}")).unwrap_or_default();
    Err(Trouble::Forbidden(format!(
        "{verb} {resource}{place}; ask for that right, or run the command as someone who has it"
    )))
}
