//! The keys that confine a function and say what it is trusted with: isolation, egress, secrets,
//! who may call its URL. Reference: `docs/reference/manifest.md`.

use mote_core::Result;
use mote_core::dialect::Deployment;
use mote_core::egress::{Egress, Rule};
use mote_core::function::{Isolation, Name, UrlAccess};
use mote_core::secret::{GivenAs, SecretUse};

use super::keys::is_variable;
use super::section::{Section, Value};

pub(super) const KEYS: &[&str] = &["cpu", "isolation", "egress", "access", "port", "secrets", "secret_files"];

const RULES_MAX: usize = 100;
const SECRETS_MAX: usize = 100;
/// Thousandths of a core.
const CPU_MILLIS_MIN: u32 = 10;
const CPU_MILLIS_MAX: u32 = 1_024_000;

pub(super) fn read(table: &Section, this: &mut Deployment) -> Result<()> {
    if let Some(value) = table.get("cpu") {
        this.limits.cpu_millis = cpu_millis(&value)?;
    }
    if let Some(value) = table.get("isolation") {
        this.isolation = match value.text()? {
            "standard" => Isolation::Standard,
            "strict" => Isolation::Strict,
            _ => return Err(value.wanted("\"standard\" or \"strict\"")),
        };
    }
    if let Some(value) = table.get("access") {
        this.http.access = match value.text()? {
            "public" => UrlAccess::Public,
            "token" => UrlAccess::Token,
            "signed" => UrlAccess::Signed,
            _ => return Err(value.wanted("\"public\", \"token\" or \"signed\"")),
        };
    }
    if let Some(value) = table.get("port") {
        // 0 would mean any, and nobody could connect to it.
        this.port = Some(value.count(1..=u32::from(u16::MAX))? as u16);
    }
    if let Some(value) = table.get("egress") {
        this.egress = egress(&value)?;
    }
    for (key, given_as) in [("secrets", GivenAs::Env as fn(String) -> GivenAs), ("secret_files", GivenAs::File)] {
        if let Some(value) = table.get(key) {
            secrets(&value, given_as, &mut this.secrets)?;
        }
    }
    Ok(())
}

fn cpu_millis(value: &Value) -> Result<u32> {
    let millis = (value.number()? * 1000.0).round();
    if millis >= f64::from(CPU_MILLIS_MIN) && millis <= f64::from(CPU_MILLIS_MAX) {
        return Ok(millis as u32);
    }
    Err(value.wanted("a number of cores from 0.01 to 1024, such as 0.5,"))
}

fn egress(value: &Value) -> Result<Egress> {
    match value.text() {
        Ok("none") => return Ok(Egress::None),
        Ok("public") => return Ok(Egress::Public),
        Ok(_) => return Err(value.wanted("\"none\", \"public\" or a list of rules such as \"example.com:443\"")),
        Err(_) => {}
    }
    let rules = value.texts(RULES_MAX)?;
    let read = |text: &str| {
        text.parse::<Rule>().map_err(|error| value.wrong(&format!("holds a rule that is none: {error}")).hint(super::keys::hint(&error)))
    };
    Ok(Egress::Rules(rules.into_iter().map(read).collect::<Result<_>>()?))
}

/// `VARIABLE = "secret"`, or `"file name" = "secret"`.
fn secrets(value: &Value, given_as: fn(String) -> GivenAs, into: &mut Vec<SecretUse>) -> Result<()> {
    for (name, value) in value.table()?.values() {
        let secret = Name::new(value.text()?).map_err(|error| value.wrong(&format!("names no secret: {error}")))?;
        let given_as = given_as(name.to_owned());
        match &given_as {
            GivenAs::Env(_) if !is_variable(name) => {
                return Err(value.wrong("is no name for a variable: letters, digits and '_', not beginning with a digit, are wanted"));
            }
            GivenAs::Env(_) if name.starts_with("MOTE_") => return Err(value.wrong("is a name that mote sets itself")),
            GivenAs::File(_) if Name::new(name).is_err() => return Err(value.wrong("is no name for a file below /secrets")),
            GivenAs::Env(_) | GivenAs::File(_) => {}
        }
        // What a table says for one function comes after what stands at the top for all.
        into.retain(|other| other.given_as != given_as);
        into.push(SecretUse { secret, given_as });
    }
    if into.len() > SECRETS_MAX {
        return Err(value.wrong(&format!("makes {} secrets of one function; {SECRETS_MAX} is the limit", into.len())));
    }
    Ok(())
}
