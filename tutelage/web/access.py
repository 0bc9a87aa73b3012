"""Who may see the console: an admin, by a key, and then by a signed cookie that lasts half a day.

Like the gateway it is open on loopback while there are no keys, and asks for one from then on. What a session may do is
asked of the ledger at each request, so that a revoked key ends its sessions.
"""

import hmac
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from ledger.keys import all_keys, digest
from ledger.random_keys import random_key
from router.server_settings import LOOPBACK
from router.settings import Settings

COOKIE, LASTS_S = "tutelage_console", 12 * 3600
SIGNING_KEY = "console_key"
BOOT = "boot"  # the key of the settings, in the place of an id


class Refused(Exception):
    """Not let in; the message is for whoever asks."""


@dataclass(frozen=True)
class Access:
    """The keys of a ledger and of the settings. `signer` signs cookies with a key that the ledger keeps."""

    engine: sa.Engine
    boot: str | None
    signer: URLSafeTimedSerializer

    @property
    def open(self) -> bool:
        """Whether nobody needs a key yet."""
        return self.boot is None and not all_keys(self.engine)

    def log_in(self, secret: str, response: Response, *, secure: bool) -> None:
        """Set the cookie. Raises Refused unless it is an admin's key."""
        value = self.signer.dumps(self._admin(digest(secret)))
        response.set_cookie(
            COOKIE, value, max_age=LASTS_S, httponly=True, samesite="strict", secure=secure, path="/console"
        )

    def check(self, request: Request) -> None:
        """Raises Refused where there is no session, or it is of a key that is an admin's no more."""
        if self.open:
            if request.url.hostname not in LOOPBACK:  # a page elsewhere whose name was made to lead here
                raise Refused("While there are no keys the console is read under 127.0.0.1 or localhost alone.")
            return
        try:
            held = self.signer.loads(request.cookies.get(COOKIE, ""), max_age=LASTS_S)
        except BadSignature as error:  # of a stale one too
            raise Refused("Your session has ended. Please log in again.") from error
        if held not in self._admins().values():
            raise Refused("The key of this session is not valid any more. Please log in again.")

    def _admin(self, sent: str) -> str:
        found = None
        for known, name in self._admins().items():  # all of them, so that time tells nothing
            found = name if hmac.compare_digest(known, sent) else found
        if found is None:
            raise Refused("This is no key of an admin: `tutelage keys create NAME --role admin` makes one.")
        return found

    def _admins(self) -> dict[str, str]:
        """Digest -> id."""
        now = time.time()
        keys = {key.digest: key.id for key in all_keys(self.engine) if key.grant.role == "admin" and key.valid(now)}
        return {**keys, **({digest(self.boot): BOOT} if self.boot else {})}


def access(settings: Settings, engine: sa.Engine) -> Access:
    """As the settings and the ledger say."""
    boot = settings.server.api_key.get_secret_value() if settings.server.api_key else None
    return Access(engine, boot or None, URLSafeTimedSerializer(random_key(engine, SIGNING_KEY), salt="console"))


def same_origin(request: Request) -> bool:
    """Whether a form was sent by a page of ours: browsers say where it comes from."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
