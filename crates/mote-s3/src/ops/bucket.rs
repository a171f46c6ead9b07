//! Buckets, and the little that there is to say of them.

use mote_core::error::Code;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, s3_error};

use super::{Answer, Store};
use crate::REGION;
use crate::fault::wire;
use crate::meta::{owner, wire_time};

const PAGE_MAX: usize = 10_000;

pub(super) async fn list(store: &Store, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
    let ListBucketsInput { prefix, max_buckets, continuation_token, .. } = req.input;
    let limit = match max_buckets.map(usize::try_from) {
        None => PAGE_MAX,
        Some(Ok(limit)) if (1..=PAGE_MAX).contains(&limit) => limit,
        Some(_) => return Err(s3_error!(InvalidArgument, "max-buckets must be from 1 to {PAGE_MAX}")),
    };
    let all = store.objects.buckets().await.map_err(wire)?;
    let from = prefix.as_deref().unwrap_or_default();
    let after = continuation_token.as_deref().unwrap_or_default();
    let mut buckets = all.into_iter().filter(|b| b.name.starts_with(from) && b.name.as_str() > after);
    let page: Vec<_> = buckets.by_ref().take(limit).collect();
    let next = buckets.next().and_then(|_| page.last().map(|b| b.name.clone()));
    let describe = |b: mote_core::store::BucketInfo| Bucket {
        bucket_region: Some(REGION.to_owned()),
        creation_date: Some(wire_time(b.created)),
        name: Some(b.name),
    };
    let buckets = page.into_iter().map(describe).collect();
    Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), continuation_token: next, owner: Some(owner()), prefix }))
}

pub(super) async fn create(store: &Store, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
    // Any LocationConstraint is accepted: there is one place, and clients insist on naming theirs.
    let name = req.input.bucket;
    store.objects.create_bucket(&name).await.map_err(|error| match error.code() {
        Code::Conflict => s3_error!(BucketAlreadyOwnedByYou, "The bucket {name:?} exists already, and it is yours"),
        Code::NameInvalid => S3Error::with_message(S3ErrorCode::InvalidBucketName, error.to_string()),
        _ => wire(error),
    })?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
}

pub(super) async fn head(store: &Store, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
    store.objects.bucket(&req.input.bucket).await.map_err(wire)?;
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..Default::default() }))
}

pub(super) async fn delete(store: &Store, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
    store.objects.delete_bucket(&req.input.bucket).await.map_err(wire)?;
    Ok(S3Response::new(DeleteBucketOutput {}))
}

pub(super) async fn location(store: &Store, req: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
    store.objects.bucket(&req.input.bucket).await.map_err(wire)?;
    // The first region is the one that has no name here.
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint: None }))
}

pub(super) async fn versioning(store: &Store, req: S3Request<GetBucketVersioningInput>) -> Answer<GetBucketVersioningOutput> {
    store.objects.bucket(&req.input.bucket).await.map_err(wire)?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}

pub(super) async fn acl(store: &Store, req: S3Request<GetBucketAclInput>) -> Answer<GetBucketAclOutput> {
    store.objects.bucket(&req.input.bucket).await.map_err(wire)?;
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(grants()), owner: Some(owner()) }))
}

/// The owner has every right, and nobody else has one.
pub(super) fn grants() -> Grants {
    let grantee = Grantee {
        display_name: owner().display_name,
        email_address: None,
        id: owner().id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    vec![Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }]
}
