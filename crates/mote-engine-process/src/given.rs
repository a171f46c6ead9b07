//! What an instance is given beside its code: its environment, and its secrets at this moment.
//!
//! Fetched for each start, and for an executable at each call, so that a secret's new value needs
//! no deploy. How instances that have the old one are replaced: [`crate::pool`]. Where the files
//! lie: [`crate::jail`], `/secrets`. What it logs passes [`mask`].

pub(crate) mod mask;

use mote_core::function::Function;
use mote_core::secret::{GivenAs, Secret};
use mote_core::{Code, Error, Result};

use self::mask::Mask;
use crate::host::{Host, environment};
use crate::jail::spec::SecretFile;

pub(crate) struct Given {
    /// All of its environment, what mote says and the secrets included.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) files: Vec<SecretFile>,
    pub(crate) mask: Mask,
}

impl Host {
    pub(crate) async fn given(&self, function: &Function) -> Result<Given> {
        let mut given = Given { env: environment(function), files: Vec::new(), mask: Mask::default() };
        let mut values = Vec::with_capacity(function.secrets.len());
        for used in &function.secrets {
            let value = self.secrets.reveal(&function.namespace, &used.secret).await.map_err(|error| unavailable(&used.secret, error))?;
            match &used.given_as {
                GivenAs::Env(variable) => {
                    let text = variable_value(&value).ok_or_else(|| unfit(&used.secret, variable))?;
                    given.env.retain(|(name, _)| name != variable);
                    given.env.push((variable.clone(), text.to_owned()));
                }
                GivenAs::File(name) => given.files.push(SecretFile { name: name.clone(), value: value.reveal().to_vec() }),
            }
            values.push(value);
        }
        given.mask = Mask::new(&values);
        Ok(given)
    }
}

/// A variable ends at the first NUL, and languages read it as text.
fn variable_value(value: &Secret) -> Option<&str> {
    std::str::from_utf8(value.reveal()).ok().filter(|text| !text.contains('\0'))
}

/// Whose call it is can do nothing about it: to him it is a function that does not start.
fn unavailable(secret: &mote_core::function::Name, error: Error) -> Error {
    match error.code() {
        Code::SecretNotFound => {
            let detail = format!("the function could not be started: there is no secret {secret} any more");
            Error::new(Code::FunctionStartFailed, detail).hint(format!("`mote secret set {secret}` makes it again."))
        }
        _ => error,
    }
}

fn unfit(secret: &mote_core::function::Name, variable: &str) -> Error {
    let detail =
        format!("the function could not be started: the secret {secret} is no text without NUL, and the variable {variable} wants one");
    Error::new(Code::FunctionStartFailed, detail).hint("Have it given as a file instead: `[secret_files]` in the manifest.")
}
