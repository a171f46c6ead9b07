//! Buckets in the host name: `photos.localhost:4566`, which resolves to the loopback everywhere.
//!
//! Any other host is taken as the endpoint itself, with the bucket in the path.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

pub(crate) struct LocalHosts;

impl S3Host for LocalHosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let found = VirtualHost::new(host);
        Ok(match bucket_of(host) {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

pub(crate) fn bucket_of(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // `s3.localhost` and its kind are what some SDKs make of an endpoint.
    let bucket = name.strip_suffix(".localhost").filter(|bucket| *bucket != "s3")?;
    Some(bucket.strip_suffix(".s3").unwrap_or(bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_carries_a_bucket() {
        let check = |host, expect: Option<&str>| assert_eq!(bucket_of(host), expect, "{host}");
        check("photos.localhost:4566", Some("photos"));
        check("photos.s3.localhost", Some("photos"));
        check("my.photos.localhost", Some("my.photos"));
        check("localhost:4566", None);
        check("s3.localhost", None);
        check("storage.example.com", None);
    }
}
