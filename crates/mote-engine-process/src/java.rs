//! Java functions: AWS Lambda's runtime client in the bundle, and the JVM that it is run by.
//!
//! mote has no runner of its own for Java, so a bundle without the client can't run and is refused.
//! What the client then asks for is the business of [`crate::instance::pull`].

use mote_core::bundle::Bundle;
use mote_core::function::Function;
use mote_core::{Code, Error, Result};

const CLIENT: &str = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda";
const CLIENT_CLASS: &str = "com/amazonaws/services/lambda/runtime/api/client/AWSLambda.class";
/// The files of a zip, and the jars that it or a layer brings: at its root, or where AWS looks for them.
const CLASS_PATH: &str = "/code:/code/*:/code/lib/*:/opt/java/lib/*";
/// Where layers are in a bundle, and in them the jars.
const LAYERS: &str = ".mote/opt/java/lib/";

/// Whether there is anything that could run it.
pub(crate) fn check(function: &Function, code: &Bundle) -> Result<()> {
    if !function.pulls {
        return Err(Error::new(
            Code::Unsupported,
            "mote runs Java by AWS Lambda's runtime client alone, and this function does not ask for its calls",
        )
        .hint("Make it through Lambda's API, with the client in its zip; or make a native program of it (`executable`)."));
    }
    let in_jar = |(path, content): (&str, &[u8])| is_on_class_path(path) && holds(content, CLIENT_CLASS);
    if code.file(CLIENT_CLASS).is_some() || code.files().any(|(path, file)| in_jar((path, &file.content))) {
        return Ok(());
    }
    Err(Error::new(
        Code::ManifestInvalid,
        format!("no jar of the bundle, at its root, in lib/ or in a layer's java/lib/, has the class {CLIENT}"),
    )
    .hint("Add aws-lambda-java-runtime-interface-client, and what it depends on, to the zip."))
}

fn is_on_class_path(path: &str) -> bool {
    let name = ["lib/", LAYERS].into_iter().find_map(|folder| path.strip_prefix(folder)).unwrap_or(path);
    name.ends_with(".jar") && !name.contains('/')
}

/// A zip has the names of its files as they are, once before each and once in its directory.
fn holds(jar: &[u8], name: &str) -> bool {
    let Some(&first) = name.as_bytes().first() else { return false };
    let starts = jar.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts.into_iter().any(|(at, _)| jar.get(at..).is_some_and(|rest| rest.starts_with(name.as_bytes())))
}

/// What stands between `java` and the handler. `tuned`: the function says by itself how its JVM is to
/// work, and some options exclude one another; how much memory there is it can't know.
pub(crate) fn options(function: &Function, tuned: bool) -> Vec<String> {
    let mut options = vec![format!("-XX:MaxRAM={}", function.limits.memory_bytes), "-XX:MaxRAMPercentage=70".to_owned()];
    if !tuned {
        // A cold start is short, and an instance has one call at a time.
        options.extend(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"].map(str::to_owned));
    }
    options.extend(["-cp", CLASS_PATH, CLIENT].map(str::to_owned));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_the_client_is_refused() {
        let function = |pulls| Function { pulls, ..mote_testkit::function("f") };
        let jar = [b"PK\x03\x04....".as_slice(), CLIENT_CLASS.as_bytes(), b"..."].concat();
        let outcome = |pulls, path: &str, content: &[u8]| {
            let mut bundle = Bundle::default();
            bundle.insert(path, content.to_vec(), false).unwrap();
            check(&function(pulls), &bundle).map_err(|error| error.code())
        };
        assert_eq!(outcome(true, "lib/any.jar", &jar), Ok(()));
        assert_eq!(outcome(true, "any.jar", &jar), Ok(()));
        assert_eq!(outcome(true, ".mote/opt/java/lib/any.jar", &jar), Ok(()));
        assert_eq!(outcome(true, CLIENT_CLASS, b""), Ok(()));
        assert_eq!(outcome(true, "lib/deeper/any.jar", &jar), Err(Code::ManifestInvalid));
        assert_eq!(outcome(true, "lib/any.jar", &jar[..40]), Err(Code::ManifestInvalid));
        assert_eq!(outcome(true, "pkg/Handler.class", &jar), Err(Code::ManifestInvalid));
        assert_eq!(outcome(false, "lib/any.jar", &jar), Err(Code::Unsupported));
    }
}
