"""Amazon S3 for the tests: that of moto, behind the check of signatures that moto leaves out.

    s3_server.py PORT BUCKET ACCESS_KEY_ID SECRET_ACCESS_KEY

Objects and lists are moto's, in memory: a second start is empty. Signatures are computed anew by botocore, Amazon's own
client, which has nothing in common with the one under test. A request without a signature is refused, so is one whose
key, method, path, query, signed header or time differs from what was signed. Not checked: that a content has the hash
that a header promises, and what the policies of a bucket would allow.
"""

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from io import BytesIO
from threading import Lock
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

REGION = "us-east-1"
SKEW = timedelta(minutes=15)
LONGEST = timedelta(days=7)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Refused(Exception):
    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def denied(message: str) -> Refused:
    return Refused("403 Forbidden", "AccessDenied", message)


def malformed(message: str) -> Refused:
    return Refused("400 Bad Request", "AuthorizationQueryParametersError", message)


def claim_of(environ: Environ) -> tuple[dict[str, str], bool]:
    """What a request says of its signature, by the names of the query, and whether it says so there."""
    query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    if "X-Amz-Signature" in query:
        return query, True
    kind, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind == "":
        raise denied("Access Denied")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    return {
        "X-Amz-Algorithm": kind,
        "X-Amz-Date": environ.get("HTTP_X_AMZ_DATE", ""),
        **{f"X-Amz-{name}": value for name, value in parts.items()},
    }, False


def check(environ: Environ, access_key_id: str, secret_access_key: str) -> None:
    """Raises Refused for what S3 would refuse because of its signature."""
    claim, is_address = claim_of(environ)
    try:
        identity, day, *scope = claim["X-Amz-Credential"].split("/")
        date, signed = claim["X-Amz-Date"], claim["X-Amz-SignedHeaders"].split(";")
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(claim["X-Amz-Expires"])) if is_address else SKEW
        signature = claim["X-Amz-Signature"]
    except (KeyError, ValueError):
        raise malformed("A part of the signature is missing or malformed") from None
    if claim["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256" or "host" not in signed:
        raise malformed("The algorithm is another one, or the host is not signed")
    if scope != [REGION, "s3", "aws4_request"] or day != date[:8]:
        raise malformed("The credential is of another day, region or service")
    if not timedelta(0) < lifetime <= LONGEST:
        raise malformed("X-Amz-Expires must be from 1 to 604800 seconds")
    if identity != access_key_id:
        raise Refused("403 Forbidden", "InvalidAccessKeyId", "The access key is not known")

    auth_class = S3SigV4QueryAuth if is_address else S3SigV4Auth
    auth = auth_class(Credentials(access_key_id, secret_access_key), "s3", REGION)
    address, _, query = environ["RAW_URI"].partition("?")
    # As it was sent, but for the signature: botocore sorts it.
    pairs = [pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")]
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        url=f"http://{environ['HTTP_HOST']}{address}?{'&'.join(pairs)}",
        headers={name: header(environ, name) for name in signed},
    )
    request.context["timestamp"] = date
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if not compare_digest(expected.encode(), signature.encode()):
        raise Refused("403 Forbidden", "SignatureDoesNotMatch", "The signature does not match the request")

    age = datetime.now(UTC) - signed_at
    if age < -SKEW:
        raise denied("Request is not valid yet")
    if age >= lifetime and is_address:
        raise denied("Request has expired")
    if age >= lifetime:
        raise Refused("403 Forbidden", "RequestTimeTooSkewed", "The request is too old")


def header(environ: Environ, name: str) -> str:
    key = name.upper().replace("-", "_")
    return environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", "")


def checked(application: Application, access_key_id: str, secret_access_key: str) -> Application:
    """The application, for requests whose signature is right."""

    one_at_a_time = Lock()

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            check(environ, access_key_id, secret_access_key)
        except Refused as refused:
            # Who still sends a content would not read the answer.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            body = f"<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message></Error>".encode()
            start_response(refused.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        # moto takes whom it finds no header of for a stranger, and refuses some of what an address asks for.
        credential = f"{access_key_id}/{datetime.now(UTC):%Y%m%d}/{REGION}/s3/aws4_request"
        environ.setdefault("HTTP_AUTHORIZATION", f"AWS4-HMAC-SHA256 Credential={credential}")
        # moto closes an object that is replaced, also under who reads it: one at a time, with the content at hand.
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(content)
        with one_at_a_time:
            return application(environ, start_response)

    return answer


def main(port: str, bucket: str, access_key_id: str, secret_access_key: str) -> None:
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(bucket, REGION)
    application = checked(create_backend_app("s3"), access_key_id, secret_access_key)
    run_simple("127.0.0.1", int(port), application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main(*sys.argv[1:])
