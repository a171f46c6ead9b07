"""`context.bucket(name)`: the platform's objects, by its S3 address inside the jail.

No credentials: the connection itself says which function calls.
"""
import http.client
import os
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree


class BucketError(Exception):
    """`status` is the HTTP status, `code` the S3 error code (`NoSuchKey`)."""

    def __init__(self, status, code, message):
        super().__init__("%s (%d %s)" % (message, status, code))
        self.status, self.code = status, code


class Bucket:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "<bucket %s>" % self.name

    def get(self, key):
        """The object's bytes."""
        return self._request("GET", key)

    def put(self, key, data, content_type="application/octet-stream"):
        """`data` is bytes or text."""
        self._request("PUT", key, data.encode() if isinstance(data, str) else data, {"Content-Type": content_type})

    def delete(self, key):
        """Also fine if there is no such object."""
        self._request("DELETE", key)

    def list(self, prefix=""):
        """Keys in order, asked for page by page."""
        query = {"list-type": "2", "prefix": prefix}
        while True:
            page = ElementTree.fromstring(self._request("GET", "", query=query))
            for entry in page.iter():
                if entry.tag.rpartition("}")[2] == "Key":
                    yield entry.text
            after = [e.text for e in page.iter() if e.tag.rpartition("}")[2] == "NextContinuationToken"]
            if not after:
                return
            query["continuation-token"] = after[0]

    def _request(self, method, key, body=None, headers=None, query=None):
        address = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or "http://127.0.0.1:4566")
        path = "/" + quote(self.name, safe="") + ("/" + quote(key, safe="/~") if key else "")
        # One connection a request: an instance may sleep for minutes between two calls.
        connection = http.client.HTTPConnection(address.hostname, address.port)
        try:
            connection.request(method, path + ("?" + urlencode(query) if query else ""), body, headers or {})
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if reply.status >= 300:
            raise self._error(reply.status, key, content)
        return content

    def _error(self, status, key, content):
        code = message = ""
        try:
            for entry in ElementTree.fromstring(content).iter():
                tag = entry.tag.rpartition("}")[2]
                code = entry.text if tag == "Code" else code
                message = entry.text if tag == "Message" else message
        except ElementTree.ParseError:
            pass
        where = self.name + ("/" + key if key else "")
        return BucketError(status, code or str(status), "%s: %s" % (where, message or "the request failed"))
