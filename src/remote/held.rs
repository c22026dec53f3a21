//! Secrets that are held, to be taken out of text from outside. Some become known only while the
//! program runs: what a credential program gave, or what a token's file was renewed with.

use crate::text::Redactor;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use kube::config::AuthInfo;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Tokens that were sent and since renewed: what is repeated late is one of the last.
const RENEWED: usize = 8;
/// Anything can stand in a kubeconfig. What is shorter is no secret that anybody relies on, and would
/// blacken ordinary text: a test cluster's `admin`.
const SHORTEST: usize = 8;
/// The last line of a key may be short; what is shorter than this says nothing of it.
const KEY_LINE: usize = 16;

/// All of them.
#[derive(Default)]
pub(crate) struct Held(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Read at the beginning.
    fixed: Vec<String>,
    /// Sent, the last one behind.
    sent: VecDeque<String>,
    /// For all of them, until there are others.
    redactor: Option<Redactor>,
}

impl Held {
    /// Something that must not be shown, however short it is.
    pub(crate) fn keep(&self, secret: &str) {
        self.with(|known| {
            known.fixed.push(secret.to_owned());
            known.redactor = None;
        });
    }

    /// What a kubeconfig's user is known by.
    pub(crate) fn keep_user(&self, user: &AuthInfo) {
        // As it stands in the file: the library shows nobody its secrets otherwise.
        let file = serde_json::to_value(user).unwrap_or_default();
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        for secret in ["token", "password", "client-key-data"].into_iter().filter_map(text) {
            self.keep_long(secret, SHORTEST);
        }
        if let (Some(name), Some(password)) = (text("username"), text("password")) {
            // As it is sent.
            self.keep_long(&STANDARD.encode(format!("{name}:{password}")), SHORTEST);
        }
        if let Some(key) = text("client-key-data") {
            self.keep_key(&STANDARD.decode(key.trim()).unwrap_or_default());
        }
        // An id-token, a refresh token, a client's secret: by many names.
        for value in user.auth_provider.iter().flat_map(|p| p.config.values()) {
            self.keep_long(value, KEY_LINE);
        }
    }

    /// A private key as it lies in a file: text is looked at line by line.
    pub(crate) fn keep_key(&self, pem: &[u8]) {
        let text = String::from_utf8_lossy(pem);
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with("-----")) {
            self.keep_long(line, KEY_LINE);
        }
    }

    /// What a request carries to let us in.
    pub(crate) fn note(&self, headers: &HeaderMap) {
        let value = headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let Some((_, secret)) = value.and_then(|v| v.split_once(' ')) else { return };
        if secret.len() < SHORTEST {
            return;
        }
        self.with(|known| {
            if known.fixed.iter().chain(&known.sent).any(|k| k == secret) {
                return;
            }
            if known.sent.len() == RENEWED {
                known.sent.pop_front();
            }
            known.sent.push_back(secret.to_owned());
            known.redactor = None;
        });
    }

    /// For text from outside, where it enters.
    pub(crate) fn redactor(&self) -> Redactor {
        self.with(|Known { fixed, sent, redactor }| {
            let all = fixed.iter().chain(sent.iter()).map(String::as_str);
            redactor.get_or_insert_with(|| Redactor::new(all)).clone()
        })
    }

    fn keep_long(&self, secret: &str, shortest: usize) {
        if secret.len() >= shortest {
            self.keep(secret);
        }
    }

    fn with<R>(&self, of: impl FnOnce(&mut Known) -> R) -> R {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(held: &Held, value: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, value.parse().unwrap());
        held.note(&headers);
    }

    #[test]
    fn what_was_sent_is_known_also_after_it_was_renewed() {
        let held = Held::default();
        held.keep("hvs.of-vault");
        for n in 0..=RENEWED {
            sent(&held, &format!("Bearer token-number-{n}"));
            sent(&held, &format!("Bearer token-number-{n}"));
        }
        let redactor = held.redactor();
        for (text, wanted) in [
            ("hvs.of-vault", "[redacted]"),
            ("a token-number-8 b", "a [redacted] b"),
            ("token-number-1", "[redacted]"),
            // Too long ago.
            ("token-number-0", "token-number-0"),
        ] {
            assert_eq!(redactor.redact(text), wanted);
        }
    }

    #[test]
    fn a_user_is_known_by_its_secrets_and_not_by_short_words() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\nc2hvcnQ=\n\
                   -----END PRIVATE KEY-----\n";
        let user = serde_json::json!({
            "username": "admin", "password": "admin", "token": "a-long-bearer-token",
            "client-key-data": STANDARD.encode(pem),
            "auth-provider": {"name": "oidc", "config": {
                "id-token": "eyJhbGciOi.id-token", "client-id": "kube"}},
        });
        let held = Held::default();
        held.keep_user(&serde_json::from_value(user).unwrap());
        sent(&held, "Bearer short");
        let redactor = held.redactor();
        for secret in [
            "a-long-bearer-token",
            &STANDARD.encode(pem),
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49",
            "eyJhbGciOi.id-token",
        ] {
            assert_eq!(redactor.redact(&format!("<{secret}>")), "<[redacted]>");
        }
        for word in ["admin", "kube", "short", "c2hvcnQ=", "-----BEGIN PRIVATE KEY-----"] {
            assert_eq!(redactor.redact(word), word);
        }
    }
}
