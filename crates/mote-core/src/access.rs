//! Who may do what: the only place that judges a credential.
//!
//! A door or a dialect reads a [`Credential`] off the wire and passes it on unjudged; here it
//! becomes a [`Caller`] or an error.

use std::collections::HashMap;

use crate::action::Action;
use crate::error::{Code, Error, Result};
use crate::function::Name;

/// What a request brought to say who sent it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// `Authorization: Bearer …`.
    Token(String),
    /// A request that its own signature has proven to come from this key's owner.
    AccessKey(String),
    /// An instance of a function of this namespace, known by the connection it came on.
    Instance(Name),
}

/// Whom a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub namespace: Name,
    pub rights: Rights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Call what is public.
    Public,
    /// Everything.
    Admin,
}

/// An access key pair, as S3 clients sign with.
#[derive(Clone)]
pub struct KeyPair {
    pub id: String,
    pub secret: String,
}

/// The credentials of this server.
pub struct Access {
    token: String,
    keys: HashMap<String, String>,
}

impl Access {
    pub fn new(admin_token: String, keys: Vec<KeyPair>) -> Self {
        Access { token: admin_token, keys: keys.into_iter().map(|pair| (pair.id, pair.secret)).collect() }
    }

    /// The secret of an access key, for those who verify a signature.
    pub fn secret_of(&self, key_id: &str) -> Option<&str> {
        self.keys.get(key_id).map(String::as_str)
    }

    pub fn caller(&self, credential: &Credential) -> Result<Caller> {
        let namespace = Name::default_namespace();
        match credential {
            Credential::Anonymous => Ok(Caller { namespace, rights: Rights::Public }),
            Credential::Token(token) if same(token, &self.token) => Ok(Caller { namespace, rights: Rights::Admin }),
            Credential::Token(_) => Err(Error::new(Code::CredentialInvalid, "the token is not one of this server's")
                .hint("Read the token from `credentials.json` in the server's data directory, or set MOTE_TOKEN.")),
            Credential::AccessKey(id) if self.keys.contains_key(id) => Ok(Caller { namespace, rights: Rights::Admin }),
            Credential::AccessKey(_) => Err(Error::new(Code::CredentialInvalid, "the access key is not one of this server's")),
            Credential::Instance(namespace) => Ok(Caller { namespace: namespace.clone(), rights: Rights::Public }),
        }
    }

    /// The caller, if the action is within its rights.
    pub fn judge(&self, credential: &Credential, action: &Action) -> Result<Caller> {
        let caller = self.caller(credential)?;
        match (caller.rights, action.is_public()) {
            (Rights::Admin, _) | (Rights::Public, true) => Ok(caller),
            (Rights::Public, false) => Err(Error::new(Code::CredentialMissing, "this needs a token, and the request has none")
                .hint("Send `Authorization: Bearer TOKEN`; the CLI reads MOTE_TOKEN, or `--data DIR` on the server's machine.")),
        }
    }
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_admin() {
        let access = Access::new("secret".into(), vec![KeyPair { id: "K".into(), secret: "s".into() }]);
        let list = Action::Status;
        assert!(access.judge(&Credential::Token("secret".into()), &list).is_ok());
        assert!(access.judge(&Credential::AccessKey("K".into()), &list).is_ok());
        let refused = |credential| access.judge(&credential, &list).unwrap_err().code();
        assert_eq!(refused(Credential::Token("guess".into())), Code::CredentialInvalid);
        assert_eq!(refused(Credential::AccessKey("L".into())), Code::CredentialInvalid);
        assert_eq!(refused(Credential::Anonymous), Code::CredentialMissing);
    }
}
