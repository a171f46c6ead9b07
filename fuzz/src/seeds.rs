//! Good inputs, one or more of each kind: mutation of these reaches deeper than noise does.

use std::io::Write;

const FILES: &[(&str, &str)] = &[("a.py", "def a():\n    return 1\n"), ("lib/b.py", "x = 1\n"), ("mote.toml", "name = \"a\"\n")];

pub fn archives() -> Vec<Vec<u8>> {
    let tar = tar();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).expect("memory takes it");
    vec![gzip.finish().expect("memory takes it"), zip(), tar]
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in FILES {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes()).expect("memory takes it");
    }
    tar.into_inner().expect("memory takes it")
}

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, content) in FILES {
        zip.start_file(*path, zip::write::SimpleFileOptions::default()).expect("memory takes it");
        zip.write_all(content.as_bytes()).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}

pub fn manifests() -> Vec<Vec<u8>> {
    texts(&[
        "name = \"a\"\nruntime = \"python3.12\"\nentry = \"a.py:run\"\ntimeout = \"30s\"\nmemory = \"256MB\"\nbody = \"10MB\"\nidle = \"5m\"\n",
        "[[function]]\nname = \"a\"\nentry = \"a.py\"\n[[function]]\nname = \"b\"\nentry = \"b.js\"\nhttp = [{ path = \"/b/{id}\", methods = [\"GET\"] }]\n",
        "entry = \"a.py\"\nurl = false\n[env]\nA = \"1\"\n[cors]\norigins = [\"https://example.org\"]\nmax_age = \"1h\"\n[[bucket]]\nname = \"photos\"\nevents = [\"created\", \"removed\"]\nprefix = \"in/\"\nsuffix = \".jpg\"\n",
        "entry = \"a.py\"\nconcurrency = 4\ninstances_max = 8\ninstances_min = 1\nwaiting_max = 10\nprocesses = 16\nopen_files = 64\ntmp = \"1GiB\"\nmethods = [\"GET\"]\n",
        include_str!("../../fixtures/plain/flow/mote.toml"),
    ])
}

pub fn templates() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../fixtures/aws/manifests/sam-shop/template.yaml"),
        include_str!("../../fixtures/aws/manifests/sam-refused/template.yaml"),
        include_str!("../../fixtures/aws/manifests/cloudformation/template.json"),
        include_str!("../../fixtures/aws/manifests/serverless-shop/serverless.yml"),
        include_str!("../../fixtures/aws/manifests/serverless-refused/serverless.yml"),
        include_str!("../../fixtures/aws/manifests/chalice-shop/app.py"),
        include_str!("../../fixtures/aws/manifests/chalice-shop/.chalice/config.json"),
        include_str!("../../fixtures/aws/manifests/chalice-refused/app.py"),
        include_str!("../../fixtures/aws/manifests/cargo-shop/Cargo.toml"),
        include_str!("../../fixtures/aws/manifests/cargo-refused/Cargo.toml"),
        "from chalicelib.more import bp\nfrom chalice import *\napp = Chalice('a')\nbp = Blueprint(__name__)\napp.register_blueprint(bp, url_prefix='/x')\n",
        "a: &a [x, *b]\nResources: {<<: *a, F: {Type: AWS::Serverless::Function, Properties: !If [c, !Ref AWS::NoValue, {}]}}\n",
    ])
}

pub fn server_heads() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"method":"PATCH","target":"//a%20b?c=d&e","headers":[["host","h"],["x-a","1, \"2\"\t"],["x-a","caf\u00c3\u00a9 \u00ff"]]}"#,
        r#"{"status":418,"headers":[["content-length","5000"],["set-cookie","a=b"],["set-cookie","c=d"]]}"#,
    ])
}

pub fn names() -> Vec<Vec<u8>> {
    texts(&[
        "formula",
        "dev.lever-9_x",
        "python3.12",
        "node20",
        "executable",
        "019b0000-0000-7000-8000-000000000001",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ])
}

pub fn filters() -> Vec<Vec<u8>> {
    texts(&[
        "{\"type\":[\"t\",{\"prefix\":\"a\"}],\"data\":{\"n\":[{\"numeric\":[\">\",1,\"<=\",5]}]}}\n{\"n\":[1,2,{\"n\":3}]}",
        "{\"source\":[{\"anything-but\":[\"/x\",{\"suffix\":\"y\"}]}],\"zone\":[{\"exists\":false}]}\n",
        "{\"$or\":[{\"type\":[{\"wildcard\":\"o*r.\\\\*\"}]},{\"data\":{\"ip\":[{\"cidr\":\"10.0.0.0/8\"}]}}]}\n{\"ip\":\"10.1.2.3\"}",
        "{\"type\":[{\"prefix\":{\"equals-ignore-case\":\"A\"}},{\"anything-but\":{\"wildcard\":[\"*\",\"a*\"]}}]}\n{}",
        "{\"data\":{\"a\":{\"b\":[null,true,{\"equals-ignore-case\":\"Ä\"}]}}}\n{\"a\":[{\"b\":\"ä\"}]}",
    ])
}

pub fn messages() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"messages":[{"body":"a","attributes":{"kind":"paid"},"delay_ms":5,"priority":"high","key":"k"},{}]}"#,
        r#"{"messages":[{"body_base64":"AAE=","content_type":"image/png"},{"body":"ä","group":"g"}]}"#,
    ])
}

pub fn queue_batches() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"queue":"q","messages":[{"id":"00000000-0000-0000-0000-000000000007","receives":1,"receipt":"r","sent":5,"type":"t","source":"s","body":"b","attributes":{"n":"7","aws.sqs":"{\"attributes\":{\"n\":{\"DataType\":\"Number\",\"StringValue\":\"7\"}},\"dedup\":\"k\"}"},"extensions":{"motesnssubscription":"arn:a:b"}}]}"#,
        r#"{"queue":"q","messages":[{"id":"00000000-0000-0000-0000-000000000007","receives":2,"sent":5,"type":"t","source":"s","body_base64":"AP8=","group":"g"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"00000000-0000-0000-0000-000000000007"},{"itemIdentifier":null}]}"#,
        "null",
    ])
}

pub fn receipts() -> Vec<Vec<u8>> {
    vec![crate::messages::receipt().into_bytes(), b"A".repeat(54)]
}

pub fn aws_requests() -> Vec<Vec<u8>> {
    texts(&[
        "sts - /\nAction=GetCallerIdentity&Version=2011-06-15",
        "s3 - /photos?notification\n<NotificationConfiguration><CloudFunctionConfiguration><Id>a</Id><CloudFunction>arn:aws:lambda:r:000000000000:function:f:live</CloudFunction><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>a&amp;b/</Value></FilterRule></S3Key></Filter></CloudFunctionConfiguration></NotificationConfiguration>",
        "apigateway - /restapis?mode=import\n{\"swagger\":\"2.0\",\"info\":{\"title\":\"a\"},\"paths\":{\"/{p+}\":{\"get\":{\"x-amazon-apigateway-integration\":{\"type\":\"aws_proxy\",\"uri\":\"arn:aws:apigateway:r:lambda:path/2015-03-31/functions/arn:aws:lambda:r:000000000000:function:f/invocations\"}},\"options\":{\"x-amazon-apigateway-integration\":{\"type\":\"mock\",\"responses\":{\"default\":{\"statusCode\":\"200\",\"responseParameters\":{\"method.response.header.a\":\"'b'\"}}}}}}}}",
        "apigateway - /restapis/abcdefghij/deployments\n{\"stageName\":\"api\",\"variables\":{\"a\":\"b\"}}",
        "iam - /\nAction=CreateRole&RoleName=r&AssumeRolePolicyDocument=%7B%7D",
        "sqs AmazonSQS.CreateQueue /\n{\"QueueName\":\"q.fifo\",\"Attributes\":{\"FifoQueue\":\"true\",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"a:b\\\",\\\"maxReceiveCount\\\":3}\"}}",
        "sqs AmazonSQS.SendMessage /\n{\"QueueUrl\":\"http://localhost/0/q\",\"MessageBody\":\"b\",\"MessageAttributes\":{\"n\":{\"DataType\":\"Binary\",\"BinaryValue\":\"AAE=\"}}}",
        "sqs AmazonSQS.ChangeMessageVisibilityBatch /\n{\"QueueUrl\":\"q\",\"Entries\":[{\"Id\":\"a\",\"ReceiptHandle\":\"r\",\"VisibilityTimeout\":5}]}",
        "sqs - /0/q\nAction=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x",
        "sqs - /0/q\nAction=SetQueueAttributes&Attribute.1.Name=Policy&Attribute.1.Value=x&Tag.1.Key=a",
        "lambda - /2015-03-31/functions/\n",
        "lambda - /2021-11-15/functions/f/response-streaming-invocations\n{}",
        "lambda - /2021-10-31/functions/f/url?Qualifier=live\n{\"AuthType\":\"NONE\",\"Cors\":{\"AllowOrigins\":[\"*\"],\"MaxAge\":5}}",
        "events AWSEvents.PutEvents /\n{\"Entries\":[{\"Source\":\"s\",\"DetailType\":\"d\",\"Detail\":\"{}\",\"Time\":1.5,\"EventBusName\":\"arn:aws:events:r:0:event-bus/b\"}]}",
        "sns - /\nAction=Subscribe&TopicArn=arn:aws:sns:r:000000000000:t&Protocol=sqs&Endpoint=arn:aws:sqs:r:000000000000:q&Attributes.entry.1.key=FilterPolicy&Attributes.entry.1.value=%7B%22a%22%3A%5B1%5D%7D",
        "sns - /\nAction=PublishBatch&TopicArn=arn:aws:sns:r:000000000000:t&PublishBatchRequestEntries.member.1.Id=a&PublishBatchRequestEntries.member.1.Message=m&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Name=n&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.DataType=String.Array&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.StringValue=%5B1%5D",
        "events AWSEvents.PutRule /\n{\"Name\":\"r\",\"ScheduleExpression\":\"rate(5 minutes)\",\"EventPattern\":\"{\\\"source\\\":[{\\\"prefix\\\":\\\"s\\\"}]}\",\"Tags\":[{\"Key\":\"a\",\"Value\":\"b\"}]}",
        "events AWSEvents.PutTargets /\n{\"Rule\":\"r\",\"Targets\":[{\"Id\":\"1\",\"Arn\":\"arn:aws:sqs:r:000000000000:q\",\"InputTransformer\":{\"InputPathsMap\":{\"a\":\"$.detail.a[0]\"},\"InputTemplate\":\"{\\\"a\\\": <a>}\"}}]}",
        "events AWSEvents.TestEventPattern /\n{\"EventPattern\":\"{\\\"$or\\\":[{\\\"source\\\":[\\\"s\\\"]},{\\\"id\\\":[1]}]}\",\"Event\":\"{\\\"id\\\":1,\\\"account\\\":1,\\\"source\\\":\\\"s\\\",\\\"time\\\":1,\\\"region\\\":1,\\\"resources\\\":[],\\\"detail-type\\\":1}\"}",
        "events AWSEvents.TagResource /\n{\"ResourceARN\":\"arn:aws:events:r:0:rule/b/r\",\"Tags\":[{\"Key\":\"a\",\"Value\":\"b\"}]}",
        "scheduler - /schedules/s\n{\"ScheduleExpression\":\"at(2026-12-01T10:00:00)\",\"ScheduleExpressionTimezone\":\"Europe/Berlin\",\"StartDate\":1.5,\"FlexibleTimeWindow\":{\"Mode\":\"FLEXIBLE\",\"MaximumWindowInMinutes\":5},\"Target\":{\"Arn\":\"arn:aws:lambda:r:000000000000:function:f:live\",\"Input\":\"<aws.scheduler.execution-id>\"}}",
        "scheduler - /tags/arn:aws:scheduler:r:0:schedule-group%2Fg\n{\"Tags\":[]}",
        "logs Logs_20140328.FilterLogEvents /\n{\"logGroupName\":\"/aws/lambda/f\",\"filterPattern\":\"disk -\\\"a b\\\" ?c\",\"limit\":1,\"nextToken\":\"5-1\"}",
        "logs Logs_20140328.GetLogEvents /\n{\"logGroupName\":\"/aws/lambda/f\",\"logStreamName\":\"gone/f/[1]\",\"nextToken\":\"b/5-1\",\"limit\":1}",
        "logs Logs_20140328.DescribeLogStreams /\n{\"logGroupName\":\"/aws/lambda/f\",\"orderBy\":\"LastEventTime\"}",
    ])
}

pub fn aws_urls() -> Vec<Vec<u8>> {
    texts(&[
        "POST\n/lambda-url/abc234/a%20b?c=%C3%A4&c=d\nhost:localhost\ncookie:a=b; c=d\ncontent-type:text/plain\n\nhello",
        "GET\n/a/b\nhost:abc234-team.lambda-url.eu-west-1.localhost:8080\norigin:https://example.org",
        "GET\n/@team/lambda-url/abc234\nx-amz-date:20260101T000000Z\nauthorization:AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
    ])
}

pub fn aws_results() -> Vec<Vec<u8>> {
    texts(&[
        "application/json\n{\"statusCode\":201,\"headers\":{\"x-a\":7},\"multiValueHeaders\":{\"x-a\":[true,\"b\"]},\"body\":\"aGk=\",\"isBase64Encoded\":true}",
        "application/json\n{\"statusCode\":\"200\",\"cookies\":[\"a=b\"],\"headers\":{\"content-length\":\"9\"}}",
        "application/json\n[\"hello\",3,true]",
        "application/vnd.awslambda.http-integration-response\n{\"statusCode\":201,\"cookies\":[\"a=b\"]}\0\0\0\0\0\0\0\0hello",
    ])
}

pub fn cloud_events() -> Vec<Vec<u8>> {
    texts(&[
        " {\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"/s\",\"type\":\"t\",\"time\":\"2018-04-05T17:31:00Z\",\"data\":{\"a\":1}}",
        " {\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"/s\",\"type\":\"t\",\"datacontenttype\":\"text/xml\",\"data\":\"<a/>\",\"count\":3}",
        "[{\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"/s\",\"type\":\"t\",\"subject\":\"ä\",\"data_base64\":\"/wAB\"}]",
    ])
}

pub fn signatures() -> Vec<Vec<u8>> {
    texts(&[
        "standard-webhooks\nwebhook-id: m\nwebhook-timestamp: 1614265330\nwebhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n\n{}",
        "stripe\nstripe-signature: t=1614265330,v1=00,v0=11\n\n\n\n{}",
        "slack\nx-slack-signature: v0=00\nx-slack-request-timestamp: 1614265330\n\n\n{\"type\":\"url_verification\",\"challenge\":\"c\"}",
        "hmac-sha256:x-s\nx-s: sha256=00\n\n\n\nbody",
        "https://[::1]:8443/a?b",
    ])
}

pub fn schedules() -> Vec<Vec<u8>> {
    texts(&[
        "*/10 1-5,8 ? JAN-MAR/2 MON-FRI\nEurope/Berlin\n1774742400000",
        "30 2 L-3,LW,15W,1 * *\nAustralia/Lord_Howe\n1775311200000",
        "0 30 2 * FEB fri-tue/2,MON#5,5L\nPacific/Apia\n1325160000000",
        "cron(0/15 10 ? * 6L,2#1,L 2026-2199/3,2028)\nAfrica/Casablanca\n4102444800000",
        "@weekly\nAmerica/New_York\n0",
        "rate(5 minutes)\nUTC\n18446744073709551615",
        "every 1h30m\nAsia/Kolkata\n7258118399000",
        "at(2026-10-25T02:30:00.5)\nEurope/Berlin\n1",
        "at(2026-12-01T10:00:00+02:00)\n\n",
    ])
}

pub fn credentials() -> Vec<Vec<u8>> {
    let token = format!("mote_{}_{}", "0a".repeat(8), "5f".repeat(32));
    let query = format!("a=1&mote-expires=1795389945&mote-signature={}", "71".repeat(32));
    let by_token = query.replace("&mote-signature", "&mote-signer=0a0a0a0a0a0a0a0a&mote-signature");
    texts(&[&token, &format!("Bearer {token}"), &query, &by_token, "100/s", "mote_", "mote-expires=1&mote-signature="])
}

pub fn control_requests() -> Vec<Vec<u8>> {
    texts(&[
        "POST\n/v1/deploy?name=a&default_name=b&dev=1&namespace=n\nauthorization:Bearer secret\n\nPK",
        "GET\n/v1/functions?after=a&limit=10\nauthorization:Bearer secret",
        "POST\n/v1/functions/a/invoke?version=3\nce-type:x.y\nce-subject:%C3%A4\nprefer:respond-async\ncontent-type:application/json\n\n{\"a\":1}",
        "POST\n/v1/tokens?namespace=n\n\n{\"name\":\"ci\",\"rights\":[\"read\",\"invoke\"],\"expires_s\":60,\"s3\":true}",
        "PATCH\n/v1/quota?namespace=n\n\n{\"rate\":\"100/s\",\"calls\":null}",
        "POST\n/v1/functions/a/sign\n\n{\"method\":\"PUT\",\"path\":\"/a?b=1\",\"expires_s\":60}",
        "GET\n/v1/audit?all=1&tail=5",
        "POST\n/v1/functions/a/point\n\n{\"version\":2}",
        "GET\n/v1/logs?function=a&invocation=019b0000-0000-7000-8000-000000000001&tail=5&since=10m&follow=1",
        "GET\n/v1/buckets/b/objects?prefix=a/&delimiter=/&after=a&limit=2",
        "PUT\n/v1/buckets/b/objects/a/b%20c/%C3%A4\ncontent-type:image/jpeg\ncache-control:no-store\n\nbytes",
    ])
}

/// The first byte says whether the connection is known to come out of a jail (`j`), or has to be signed.
pub fn s3_requests() -> Vec<Vec<u8>> {
    let signed =
        "authorization:AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
    let presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20260101%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let mut seeds = texts(&[
        "jGET\n/fuzz?list-type=2&prefix=a&delimiter=/&max-keys=2&continuation-token=YQ&encoding-type=url\nhost:127.0.0.1",
        "jGET\n/fuzz?uploads&key-marker=a&upload-id-marker=b\nhost:127.0.0.1",
        "jGET\n/fuzz/a?response-content-type=text/plain\nhost:127.0.0.1\nrange:bytes=1-2\nif-none-match:\"x\"",
        "jPUT\n/fuzz/a\nhost:127.0.0.1\nx-amz-meta-a:b\ncontent-md5:XUFAKrxLKna5cZ2REBfFkg==\nx-amz-checksum-crc32:NhCmhg==\n\nhello",
        "jPUT\n/fuzz/a\nhost:127.0.0.1\ncontent-encoding:aws-chunked\nx-amz-decoded-content-length:5\nx-amz-trailer:x-amz-checksum-crc32\n\
         x-amz-content-sha256:STREAMING-UNSIGNED-PAYLOAD-TRAILER\n\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
        "jPUT\n/fuzz/b\nhost:127.0.0.1\nx-amz-copy-source:/fuzz/a\nx-amz-metadata-directive:REPLACE",
        "jPOST\n/fuzz?delete\nhost:127.0.0.1\n\n<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>",
        "jPOST\n/fuzz/c?uploads\nhost:127.0.0.1",
        "jPOST\n/fuzz/c?uploadId=x\nhost:127.0.0.1\n\n<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        "jDELETE\n/fuzz/a\nhost:127.0.0.1",
        "jHEAD\n/fuzz/a\nhost:fuzz.localhost",
    ]);
    seeds.push(
        format!("-GET\n/fuzz/a\nhost:127.0.0.1\nx-amz-date:20260101T000000Z\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n{signed}").into_bytes(),
    );
    seeds.push(format!("-GET\n/fuzz/a?{presigned}\nhost:127.0.0.1").into_bytes());
    seeds.push(b"-GET\n/fuzz/a?AWSAccessKeyId=K&Expires=1767225700&Signature=YQ%3D%3D\nhost:127.0.0.1".to_vec());
    seeds
}

pub fn public_requests() -> Vec<Vec<u8>> {
    texts(&[
        "GET\n/formula?a=1&b=2.5&c=true&c=%C3%A4&d=007&e\nhost:localhost\nx-request-id:abc",
        "POST\n/@ns/formula\ncontent-type:application/json\ncookie:a=b\ncookie:c=d\n\n{\"a\":1}",
        "OPTIONS\n/formula\norigin:https://example.org\naccess-control-request-method:PUT",
    ])
}

pub fn runtime_requests() -> Vec<Vec<u8>> {
    texts(&[
        "POST\n/2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response\nlambda-runtime-function-response-mode:streaming",
        "POST\n/2020-01-01/extension/register\nlambda-extension-name:e\n\n{\"events\":[\"INVOKE\"]}",
        "GET\n/2020-01-01/extension/event/next\nlambda-extension-identifier:8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "PUT\n/2022-07-01/telemetry",
        "POST\n/2018-06-01/runtime/init/error\ncontent-type:application/json\n\n{}",
        r#"{"errorMessage":"m","errorType":"T","requestId":"","stackTrace":["a\n",{"path":"p","line":7,"label":"l"}],"errorCause":{}}"#,
        r#"{"errorType":"Error","errorMessage":"m","trace":["Error: m","    at f"]}"#,
        "eyJlcnJvck1lc3NhZ2UiOiJtIiwiZXJyb3JUeXBlIjoiVCJ9",
        "{\"custom\":\n{\"a\":\"\u{e9}\"}}",
    ])
}

pub fn reply_heads() -> Vec<Vec<u8>> {
    texts(&[
        "{\"status\":200,\"type\":\"application/json\",\"headers\":[[\"x-a\",\"b\"],[\"set-cookie\",\"c=d\"],[\"content-length\",\"9\"]]}",
        "{\"status\":204,\"type\":\"\",\"headers\":[]}",
        "argument-missing",
        "reply-invalid",
    ])
}

/// Questions as resolvers ask them: plain, with options, reverse, of a service.
pub fn questions() -> Vec<Vec<u8>> {
    let question = |labels: &[&str], kind: u8, more: &[u8]| {
        let mut bytes = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        for label in labels {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.extend_from_slice(&[0, 0, kind, 0, 1]);
        bytes.extend_from_slice(more);
        bytes
    };
    vec![
        question(&["api", "Example", "com"], 1, b""),
        question(&["example", "com"], 28, b"\0\0\x29\x04\xd0\0\0\0\0\0\0"),
        question(&["1", "0", "18", "198", "in-addr", "arpa"], 12, b""),
        question(&["_mongodb", "_tcp", "db", "example"], 33, b""),
        question(&[], 2, b""),
    ]
}

pub fn frames() -> Vec<Vec<u8>> {
    let frame = |kind: u8, payload: &[u8]| {
        let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(&7u32.to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    };
    let talk = [
        frame(64, br#"{"parameters":[{"name":"a","type":"number","required":true,"default":1}],"returns":"float","doc":"d"}"#),
        frame(67, b"\x02\0\0\0{}part"),
        frame(68, b"more"),
        frame(71, b"\x01printed"),
        frame(72, b"\0\x10\0\0"),
        frame(69, b""),
        frame(66, b"\x02\0\0\0{}body"),
        frame(70, br#"{"code":"","type":"ValueError","message":"m","trace":"t"}"#),
        frame(65, br#"{"type":"ImportError","message":"m"}"#),
    ];
    // The first byte says where the stream is cut.
    talk.iter().cloned().chain([talk.concat()]).map(|frames| [vec![5], frames].concat()).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A connection's beginning in both versions, with what may follow it.
pub fn mqtt_packets() -> Vec<Vec<u8>> {
    let (old, new): (&[u8], &[u8]) = (
        b"\x10\x1d\x00\x04MQTT\x04\xc6\x00\x3c\x00\x01a\x00\x01w\x00\x01x\x00\x01u\x00\x05token",
        b"\x10\x18\x00\x04MQTT\x05\x02\x00\x3c\x0a\x11\x00\x00\x00\x09\x27\x00\x00\x10\x00\x00\x01b",
    );
    let follow: &[&[u8]] = &[
        b"",
        b"\x32\x08\x00\x03a/b\x00\x01x",
        b"\x32\x15\x00\x03a/b\x00\x01\x0c\x02\x00\x00\x00\x05\x26\x00\x01k\x00\x01vx",
        b"\x82\x0a\x00\x01\x00\x05a/+/#\x01",
        b"\x82\x12\x00\x01\x00\x00\x0c$share/g/a/#\x01",
        b"\xa2\x07\x00\x02\x00\x03a/b",
        b"\x40\x02\x00\x01\x50\x02\x00\x01\x62\x02\x00\x01\x70\x02\x00\x01\xc0\x00\xe0\x00",
    ];
    let whole = [old, new].into_iter().flat_map(|connect| follow.iter().map(move |rest| [connect, rest].concat()));
    whole.collect()
}
