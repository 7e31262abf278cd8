//! Signatures of webhooks, as Standard Webhooks 1.0 has them: HMAC-SHA256 over `id.timestamp.body`, in base64 after `v1,`.

use crate::sim::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub const WEBHOOK_ID: &str = "webhook-id";
/// Whole seconds since 1970.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// A secret that both ends know. Never shown, not even by `{:?}`.
#[derive(Clone)]
pub struct Signature(Vec<u8>);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Signature {
    /// `whsec_` and base64 as the standard has it; any other text is taken as it is.
    pub fn new(secret: &str) -> Signature {
        let decoded = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        Signature(decoded.unwrap_or_else(|| secret.as_bytes().to_vec()))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }

    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let tag = self.mac(id, timestamp, body).map(|mac| mac.finalize().into_bytes());
        tag.map_or(String::new(), |tag| format!("v1,{}", STANDARD.encode(tag)))
    }

    /// The three headers of a message that is signed now.
    pub fn headers(&self, id: &str, now: Timestamp, body: &[u8]) -> [(&'static str, String); 3] {
        // the time of the sandbox: a clock that can be moved is no protection against a replay, and none is claimed
        let time = (now.0 / 1_000_000_000).to_string();
        [(WEBHOOK_SIGNATURE, self.sign(id, &time, body)), (WEBHOOK_ID, id.to_owned()), (WEBHOOK_TIMESTAMP, time)]
    }

    /// Is the message with these headers signed with this secret?
    pub fn vouches<'a>(&self, header: impl Fn(&str) -> Option<&'a str>, body: &[u8]) -> bool {
        let header = |name| header(name).unwrap_or_default();
        self.verifies(header(WEBHOOK_ID), header(WEBHOOK_TIMESTAMP), body, header(WEBHOOK_SIGNATURE))
    }

    /// Is one of the signatures in the header right? Compared in constant time.
    pub fn verifies(&self, id: &str, timestamp: &str, body: &[u8], header: &str) -> bool {
        let tags = header.split_ascii_whitespace().filter_map(|text| STANDARD.decode(text.strip_prefix("v1,")?).ok());
        let right = |tag: Vec<u8>| self.mac(id, timestamp, body).is_some_and(|mac| mac.verify_slice(&tag).is_ok());
        tags.map(right).fold(false, |any, right| any | right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        let signature = Signature::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = signature.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(signature.verifies("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body, &format!("v1,AAAA {signed}")));
        assert!(!signature.verifies("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265331", body, &signed));
        assert!(!signature.verifies("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b"{}", &signed));
        assert!(!Signature::new("other").verifies("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body, &signed));
        assert_eq!(format!("{signature:?}"), "Signature(..)");
    }
}
