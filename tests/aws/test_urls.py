"""Function URLs: made by Lambda's API, called by anybody, by those who sign, and by pages."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from test_lambda import archive, create
from world import REGION, refused

APP = """
import json
def handler(event, context):
    asked = event["rawPath"]
    if asked == "/fail":
        raise ValueError("secret")
    if asked == "/status":
        return {"statusCode": 201, "cookies": ["a=b", "c=d"], "headers": {"x-n": 7}, "body": "x"}
    if asked == "/bytes":
        return {"statusCode": 200, "isBase64Encoded": True, "headers": {"content-type": "image/png"}, "body": "AAH/"}
    if asked == "/say":
        return json.loads(event["body"])
    if asked == "/large":
        return "x" * 7_000_000
    if asked == "/status-of-none":
        return {"statusCode": "none"}
    if asked == "/event":
        return {"event": event, "arn": context.invoked_function_arn}
    return "hello"
"""

STREAMS = """
const stream = async (event, out, context) => {
  const [, what] = event.rawPath.split('/');
  if (what === 'plain') { out.setContentType('text/plain'); out.write('pl'); out.write('ain'); return out.end(); }
  const wrapped = awslambda.HttpResponseStream.from(out, { statusCode: 201, headers: { 'content-type': 'text/event-stream', 'x-a': 'b' }, cookies: ['a=b'] });
  wrapped.write('first\\n');
  await new Promise((go) => setTimeout(go, 3000));
  if (what === 'fail') throw new Error('midway');
  wrapped.write(`second ${Date.now()}\\n`);
  wrapped.end();
};
exports.handler = awslambda.streamifyResponse(stream);
"""


def ask(url, method="GET", headers=None, body=None):
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=body)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        return answer.status, answer.headers, answer.read()


def with_url(world, **config):
    """A function and its URL."""
    config = {"AuthType": "NONE", **config}
    functions, name = create(world, Code={"ZipFile": archive({"app.py": APP})})
    return functions, name, functions.create_function_url_config(FunctionName=name, **config)["FunctionUrl"]


def signed(credentials, url, method="GET", body=b""):
    asked = AWSRequest(method=method, url=url, data=body)
    SigV4Auth(credentials, "lambda", REGION).add_auth(asked)
    return dict(asked.headers)


def test_a_result_is_the_reply(world):
    _, _, url = with_url(world)
    status, headers, body = ask(url)
    assert (status, headers["content-type"], headers["content-length"], body) == (200, "application/json", "5", b"hello"), headers
    status, headers, body = ask(url + "status")
    assert (status, headers.get_all("set-cookie"), headers["x-n"], body) == (201, ["a=b", "c=d"], "7", b"x"), headers
    _, headers, body = ask(url + "bytes")
    assert (headers["content-type"], body) == ("image/png", b"\x00\x01\xff"), headers
    for said, heard in (b'{"hello": "world"}', None), (b"[1, true]", None), (b"3.1", None), (b'"text"', b"text"), (b"null", None):
        status, headers, body = ask(url + "say", "POST", {"content-type": "application/json"}, said)
        assert (status, headers["content-type"], body) == (200, "application/json", heard or said), body


def test_an_event_is_that_of_a_url(world):
    functions, name, url = with_url(world)
    functions.publish_version(FunctionName=name)
    functions.create_alias(FunctionName=name, Name="stable", FunctionVersion="1")
    of_alias = functions.create_function_url_config(FunctionName=name, Qualifier="stable", AuthType="NONE")
    headers = {"cookie": "a=b; c=d", "x-one": "1", "content-type": "application/x-www-form-urlencoded"}
    _, _, body = ask(url + "event?q=1&q=%C3%A4", "PUT", headers, b"a=b")
    told = json.loads(body)
    event, context = told["event"], told["event"]["requestContext"]
    assert (event["version"], event["routeKey"], context["stage"], context["accountId"]) == ("2.0", "$default", "$default", "anonymous"), event
    assert (event["rawPath"], event["rawQueryString"], event["queryStringParameters"]) == ("/event", "q=1&q=%C3%A4", {"q": "1,ä"}), event
    assert (event["cookies"], event["headers"]["x-one"], "cookie" in event["headers"]) == (["a=b", "c=d"], "1", False), event
    assert (event["body"], event["isBase64Encoded"]) == ("YT1i", True), event
    assert (context["http"]["method"], context["http"]["sourceIp"], context["apiId"] in url) == ("PUT", "127.0.0.1", True), context
    assert told["arn"] == f"arn:aws:lambda:{REGION}:000000000000:function:{name}", told
    _, _, body = ask(of_alias["FunctionUrl"] + "event")
    assert json.loads(body)["arn"] == of_alias["FunctionArn"] == f"arn:aws:lambda:{REGION}:000000000000:function:{name}:stable", body


def test_a_url_is_found_by_its_host_name_as_well(world):
    _, name, url = with_url(world)
    door = urllib.parse.urlsplit(url)
    label = door.path.strip("/").split("/")[-1]
    connection = http.client.HTTPConnection(door.hostname, door.port, timeout=30)
    connection.request("GET", "/event/../event", headers={"host": f"{label}.lambda-url.{REGION}.localhost:{door.port}"})
    assert connection.getresponse().read() == b"hello"
    connection.request("GET", "/event", headers={"host": f"{label}.lambda-url.{REGION}.localhost:{door.port}"})
    context = json.loads(connection.getresponse().read())["event"]["requestContext"]
    assert (context["domainName"], context["domainPrefix"]) == (f"{label}.lambda-url.{REGION}.localhost", label), context


def test_failures_are_told_without_their_reason(world):
    functions, name, url = with_url(world)
    for wrong in "fail", "status-of-none", "large":
        status, _, body = ask(url + wrong)
        assert (status, body) == (502, b"Internal Server Error"), (wrong, status, body)
    assert ask(url)[0] == 200
    # Each of these letters is six in JSON.
    status, _, body = ask(url, "POST", {"content-type": "text/plain"}, b"\x01" * 1_500_000)
    assert status == 413 and b"Message" in body, (status, body)
    functions.delete_function_url_config(FunctionName=name)
    status, headers, body = ask(url)
    assert (status, body, headers["x-amzn-errortype"]) == (403, b'{"Message":null}', "AccessDeniedException"), headers


def test_who_signs_is_let_in(world):
    functions, name, url = with_url(world, AuthType="AWS_IAM")
    status, headers, body = ask(url)
    assert (status, body, headers["x-amzn-errortype"]) == (403, b'{"Message":"Forbidden"}', "AccessDeniedException"), body
    body = b'{"a": 1}'
    status, _, told = ask(url + "say", "POST", {"content-type": "application/json", **signed(world.credentials, url + "say", "POST", body)}, body)
    assert (status, told) == (200, body), told
    _, _, told = ask(url + "event", headers=signed(world.credentials, url + "event"))
    assert json.loads(told)["event"]["requestContext"]["authorizer"]["iam"]["userId"] == "admin", told
    # The aws door believes this key, since it comes from this machine. A proxy may stand before this one.
    status, headers, told = ask(url + "event", headers=signed(Credentials("test", "test"), url + "event"))
    assert (status, headers["x-amzn-errortype"]) == (403, "UnrecognizedClientException"), told
    functions.update_function_url_config(FunctionName=name, AuthType="NONE")
    assert ask(url)[0] == 200


def test_pages_are_answered_by_the_platform(world):
    cors = {"AllowOrigins": ["https://page.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-one"], "ExposeHeaders": ["x-n"], "MaxAge": 60}
    functions, name, url = with_url(world, AuthType="AWS_IAM", Cors=cors)
    assert functions.get_function_url_config(FunctionName=name)["Cors"] == cors
    page = {"origin": "https://page.example"}
    status, headers, _ = ask(url, "OPTIONS", {**page, "access-control-request-method": "PUT", "access-control-request-headers": "x-one"})
    assert status in (200, 204) and headers["access-control-allow-origin"] == "https://page.example", (status, headers)
    assert (headers["access-control-allow-methods"], headers["access-control-max-age"]) == ("GET, PUT", "60"), headers
    status, headers, _ = ask(url, headers=page)
    assert (status, headers["access-control-allow-origin"]) == (403, "https://page.example"), headers
    functions.update_function_url_config(FunctionName=name, AuthType="NONE")
    status, headers, _ = ask(url + "status", headers=page)
    assert (status, headers["access-control-expose-headers"]) == (201, "x-n"), headers
    assert ask(url, headers={"origin": "https://other.example"})[1]["access-control-allow-origin"] is None


def test_urls_are_listed_and_go_with_their_function(world):
    functions, name, url = with_url(world, InvokeMode="RESPONSE_STREAM")
    with refused("ResourceConflictException", 409):
        functions.create_function_url_config(FunctionName=name, AuthType="NONE")
    with refused("ValidationException"):
        functions.create_function_url_config(FunctionName=f"{name}:1", AuthType="NONE")
    [listed] = functions.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert (listed["FunctionUrl"], listed["InvokeMode"]) == (url, "RESPONSE_STREAM"), listed
    functions.delete_function(FunctionName=name)
    assert ask(url)[0] == 403
    with refused("ResourceNotFoundException", 404):
        functions.get_function_url_config(FunctionName=name)


def streaming(world, mode):
    functions, name = create(world, Runtime="nodejs22.x", Timeout=20, Code={"ZipFile": archive({"app.js": STREAMS})})
    return functions.create_function_url_config(FunctionName=name, AuthType="NONE", InvokeMode=mode)["FunctionUrl"]


def test_a_stream_goes_out_while_it_is_made(world):
    url = streaming(world, "RESPONSE_STREAM")
    with urllib.request.urlopen(url + "wait", timeout=30) as answer:
        assert (answer.status, answer.headers["x-a"], answer.headers["set-cookie"]) == (201, "b", "a=b"), answer.headers
        assert answer.headers["content-type"] == "text/event-stream", answer.headers
        assert answer.readline() == b"first\n"
        begun_ms = time.time() * 1000
        word, ended_ms = answer.read().split()
        assert word == b"second" and begun_ms < int(ended_ms), (begun_ms, ended_ms)
    with urllib.request.urlopen(url + "plain", timeout=30) as answer:
        assert (answer.status, answer.headers["content-type"], answer.read()) == (200, "text/plain", b"plain")


def test_a_stream_that_fails_midway_breaks_off(world):
    url = streaming(world, "RESPONSE_STREAM")
    with urllib.request.urlopen(url + "fail", timeout=30) as answer:
        assert (answer.status, answer.readline()) == (201, b"first\n")
        try:
            rest = answer.read()
        except (http.client.IncompleteRead, ConnectionError):
            return
        raise AssertionError(f"the reply looked whole, and ended in {rest}")
