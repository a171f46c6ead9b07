//! `mote bucket …`: buckets and objects, for a quick look and for scripts without an S3 client.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::{Body, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::cli::{Common, Namespace};
use crate::client::Client;
use crate::credentials::Credentials;
use crate::doors::Doors;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote bucket create photos
  mote bucket put photos/2026/cat.jpg --file cat.jpg
  mote bucket objects photos/2026/
  mote bucket get photos/2026/cat.jpg --file copy.jpg
  eval \"$(mote bucket credentials)\" && aws s3 ls";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Bucket {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a bucket
    #[command(after_help = "Example:\n  mote bucket create photos")]
    Create(Named),
    /// List the buckets
    #[command(after_help = "Example:\n  mote bucket list --json")]
    List(All),
    /// Remove an empty bucket
    #[command(after_help = "Example:\n  mote bucket remove photos")]
    Remove(Named),
    /// Store a file as an object
    #[command(after_help = "Examples:\n  mote bucket put photos/cat.jpg --file cat.jpg\n  date | mote bucket put notes/now.txt --file -")]
    Put(Put),
    /// Read an object
    #[command(after_help = "Examples:\n  mote bucket get photos/cat.jpg --file copy.jpg\n  mote bucket get notes/now.txt")]
    Get(Get),
    /// Delete an object
    #[command(after_help = "Example:\n  mote bucket delete photos/cat.jpg")]
    Delete(Named),
    /// List a bucket's objects, or those under a prefix
    #[command(after_help = "Examples:\n  mote bucket objects photos\n  mote bucket objects photos/2026/")]
    Objects(Named),
    /// Print what an S3 client needs, as shell variables
    #[command(after_help = "Example:\n  eval \"$(mote bucket credentials)\" && aws s3 ls")]
    Credentials(Common),
}

#[derive(Debug, Args)]
struct All {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Named {
    /// BUCKET, or BUCKET/KEY where an object is meant
    name: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Put {
    /// BUCKET/KEY
    name: String,
    /// The file to store; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The object's content type
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Get {
    /// BUCKET/KEY
    name: String,
    /// Where to write it [default: standard output]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Bucket {
    pub(super) fn json(&self) -> bool {
        self.common().output.json
    }

    fn common(&self) -> &Common {
        match &self.verb {
            Verb::Create(it) | Verb::Remove(it) | Verb::Delete(it) | Verb::Objects(it) => &it.common,
            Verb::List(it) => &it.common,
            Verb::Credentials(common) => common,
            Verb::Put(it) => &it.common,
            Verb::Get(it) => &it.common,
        }
    }

    fn namespace(&self) -> &str {
        match &self.verb {
            Verb::Create(it) | Verb::Remove(it) | Verb::Delete(it) | Verb::Objects(it) => &it.namespace.namespace,
            Verb::List(it) => &it.namespace.namespace,
            Verb::Put(it) => &it.namespace.namespace,
            Verb::Get(it) => &it.namespace.namespace,
            // Those of the data directory, which are bound to none.
            Verb::Credentials(_) => mote_core::function::Name::DEFAULT,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let json = self.json();
        if let Verb::Credentials(common) = &self.verb {
            return credentials(common);
        }
        let client = Buckets { client: self.common().server.connect()?, namespace: self.namespace().to_owned() };
        match &self.verb {
            Verb::Create(it) => {
                client.send(client.request(Method::PUT, &[&it.name])).await?;
                told(json, &json!({ "bucket": it.name, "created": true }), &format!("{} is there", it.name));
            }
            Verb::Remove(it) => {
                client.send(client.request(Method::DELETE, &[&it.name])).await?;
                told(json, &json!({ "bucket": it.name, "removed": true }), &format!("{} is removed", it.name));
            }
            Verb::Delete(it) => {
                let (bucket, key) = object(&it.name)?;
                client.send(client.request(Method::DELETE, &[bucket, "objects", key])).await?;
                told(json, &json!({ "bucket": bucket, "key": key, "deleted": true }), &format!("{} is deleted", it.name));
            }
            Verb::List(_) => list(&client, json).await?,
            Verb::Objects(it) => objects(&client, &it.name, json).await?,
            Verb::Put(it) => put(&client, it, json).await?,
            Verb::Get(it) => get(&client, it, json).await?,
            Verb::Credentials(_) => {}
        }
        Ok(Exit::Done)
    }
}

/// The server's buckets of one namespace.
struct Buckets {
    client: Client,
    namespace: String,
}

impl Buckets {
    /// A request to `/v1/buckets/` and these path segments.
    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let path: Vec<&str> = ["buckets"].iter().chain(path).copied().collect();
        self.client.request(method, &path).query(&[("namespace", &self.namespace)])
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        self.client.send(request).await
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        self.client.json(request).await
    }
}

async fn list(client: &Buckets, json: bool) -> Result<(), Failure> {
    let listed = client.json(client.request(Method::GET, &[])).await?;
    if json {
        output::json(&listed);
        return Ok(());
    }
    let buckets = listed.get("buckets").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<_> = buckets.map(|bucket| vec![text(bucket, "name"), time(bucket, "created")]).collect();
    if rows.is_empty() {
        eprintln!("no buckets");
        eprintln!("{} `mote bucket create NAME` makes one.", output::bold("hint:"));
    } else {
        output::table(&["BUCKET", "CREATED"], &rows);
    }
    Ok(())
}

async fn objects(client: &Buckets, name: &str, json: bool) -> Result<(), Failure> {
    let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
    let mut all: Vec<Value> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut request = client.request(Method::GET, &[bucket, "objects"]).query(&[("prefix", prefix), ("limit", "1000")]);
        if let Some(after) = &after {
            request = request.query(&[("after", after)]);
        }
        let mut page = client.json(request).await?;
        if let Some(objects) = page.get_mut("objects").and_then(Value::as_array_mut) {
            all.append(objects);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if json {
        output::json(&json!({ "objects": all }));
        return Ok(());
    }
    if all.is_empty() {
        let under = if prefix.is_empty() { String::new() } else { format!(" under {prefix}") };
        eprintln!("no objects in {bucket}{under}");
        return Ok(());
    }
    let size = |object: &Value| output::bytes(object.get("size").and_then(Value::as_u64).unwrap_or_default());
    let rows: Vec<_> = all.iter().map(|object| vec![text(object, "key"), size(object), time(object, "modified")]).collect();
    output::table(&["KEY", "SIZE", "MODIFIED"], &rows);
    Ok(())
}

async fn put(client: &Buckets, it: &Put, json: bool) -> Result<(), Failure> {
    let (bucket, key) = object(&it.name)?;
    let mut request = client.request(Method::PUT, &[bucket, "objects", key]);
    if let Some(content_type) = &it.content_type {
        request = request.header("content-type", content_type);
    }
    let unread = |error: std::io::Error| {
        Failure::usage(format!("{} can't be read: {error}", it.file.display())).hint("`--file -` reads standard input.")
    };
    request = if it.file.as_os_str() == "-" {
        request.body(Body::wrap_stream(pieces(tokio::io::stdin())))
    } else {
        let file = tokio::fs::File::open(&it.file).await.map_err(unread)?;
        let status = file.metadata().await.map_err(unread)?;
        // It opens, and would fail in the middle of the request only.
        if status.is_dir() {
            return Err(unread(std::io::ErrorKind::IsADirectory.into()));
        }
        request.header("content-length", status.len()).body(Body::wrap_stream(pieces(file)))
    };
    let stored = client.json(request).await?;
    let size = stored.get("size").and_then(Value::as_u64).unwrap_or_default();
    told(json, &stored, &format!("{} holds {}", it.name, output::bytes(size)));
    Ok(())
}

async fn get(client: &Buckets, it: &Get, json: bool) -> Result<(), Failure> {
    let (bucket, key) = object(&it.name)?;
    let mut reply = client.send(client.request(Method::GET, &[bucket, "objects", key])).await?;
    let Some(file) = &it.file else {
        while let Some(chunk) = reply.chunk().await.map_err(|error| broken(&error))? {
            if !output::bytes_out(&chunk)? {
                break;
            }
        }
        return Ok(());
    };
    let unwritten = |error: std::io::Error| Failure::refused(format!("{} can't be written: {error}", file.display()));
    let mut out = tokio::fs::File::create(file).await.map_err(unwritten)?;
    let mut size = 0;
    while let Some(chunk) = reply.chunk().await.map_err(|error| broken(&error))? {
        size += chunk.len() as u64;
        out.write_all(&chunk).await.map_err(unwritten)?;
    }
    out.flush().await.map_err(unwritten)?;
    told(
        json,
        &json!({ "bucket": bucket, "key": key, "size": size, "file": file }),
        &format!("{} has {}", file.display(), output::bytes(size)),
    );
    Ok(())
}

fn credentials(common: &Common) -> Result<Exit, Failure> {
    let dir = common.server.data_dir();
    let missing =
        || Failure::refused(format!("{} holds no credentials", dir.display())).hint("Name the server's data directory: `--data DIR`.");
    let found = Credentials::read(&dir)?.ok_or_else(missing)?;
    let endpoint = Doors::read(&dir).map(|doors| doors.aws);
    if common.output.json {
        output::json(&json!({
            "endpoint": endpoint, "region": "us-east-1",
            "access_key_id": found.access_key_id, "secret_access_key": found.secret_access_key,
        }));
    } else {
        let endpoint = endpoint.map(|url| ("AWS_ENDPOINT_URL", url));
        let keys = [
            ("AWS_REGION", "us-east-1".to_owned()),
            // The name by which Python's SDK and the AWS CLI know it.
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", found.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", found.secret_access_key),
        ];
        endpoint.into_iter().chain(keys).for_each(|(name, value)| output::line_out(&format!("export {name}={value}")));
    }
    Ok(Exit::Done)
}

/// A reader as a stream, a piece at a time: an object is never whole in memory.
fn pieces(
    reader: impl tokio::io::AsyncRead + Unpin + Send + 'static,
) -> impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send {
    use tokio::io::AsyncReadExt;
    futures_util::stream::try_unfold(reader, |mut reader| async move {
        let mut piece = bytes::BytesMut::with_capacity(64 << 10);
        let read = reader.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), reader)))
    })
}

fn object(name: &str) -> Result<(&str, &str), Failure> {
    name.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()).ok_or_else(|| {
        Failure::usage(format!("{name:?} names no object"))
            .wanted("wanted: BUCKET/KEY")
            .hint("`mote bucket objects BUCKET` lists the keys.")
    })
}

fn told(json: bool, value: &Value, line: &str) {
    if json { output::json(value) } else { output::line_out(line) }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn time(value: &Value, key: &str) -> String {
    let ms = value.get(key).and_then(Value::as_u64).unwrap_or_default();
    mote_core::clock::Timestamp(ms).rfc3339()
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::new(Exit::Unreachable, format!("the object broke off: {error}")).hint("Get it again.")
}
