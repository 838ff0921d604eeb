"""EMR's API as this runner asks it: patient where it is throttled, its errors in words.

What may be asked twice is asked again when the answer is lost. Starting a cluster and adding a step are not: who asks
for these looks whether it was done (`LostAnswerError`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.s3 import client as aws
from mr_ml import interrupts
from mr_ml.errors import MrMlError, UnavailableError, UsageError

ATTEMPTS = 10
_FIRST_SECONDS, _MOST_SECONDS = 2.0, 20.0
_SAID_LETTERS = 500
_THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException", "SlowDown",
}  # fmt: skip
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature",
}  # fmt: skip
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_WRONG = {"ValidationException", "ValidationError", "InvalidRequestException"}
# Of which a second one costs money, or does the work twice.
_ONCE = {"run_job_flow", "add_job_flow_steps"}


Keep = Callable[[dict[str, Any]], None]


def ignore_answer(answer: dict[str, Any]) -> None:
    """Keep nothing of an answer."""


class LostAnswerError(UnavailableError):
    """Nobody knows whether what was asked for was done."""


class ExpiredError(UnavailableError):
    """The credentials have expired: nothing can be asked any more."""


class DeniedError(UnavailableError):
    """Whoever the credentials are of may not ask for this."""


class _ThrottledError(UnavailableError):
    """Not done: asked too often."""


@dataclass(frozen=True)
class Emr:
    """EMR's API.

    Attributes
    ----------
    client
        boto's, which asks once.
    pause
        Waits so many seconds.
    clock
        Seconds since some moment.
    """

    client: Any
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def connect(cls, region: str | None) -> Emr:
        """Ask with the credentials, the profile and the endpoint that the aws command would use.

        Raises
        ------
        UsageError
            If no region is known.
        """
        from botocore.config import Config
        from botocore.exceptions import NoRegionError

        # tries again are ours, which know what can be asked twice
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60)
        try:
            return cls(aws.session().client("emr", region_name=region, config=config))
        except NoRegionError:
            raise UsageError(
                "expected a region of EMR, found none; set AWS_DEFAULT_REGION, or region in the settings of `config`"
            ) from None

    @property
    def region(self) -> str:
        """Where its clusters are."""
        return str(self.client.meta.region_name)

    def ask(self, operation: str, keep: Keep = ignore_answer, **arguments: Any) -> dict[str, Any]:
        """Call an operation, by its name in Python.

        Parameters
        ----------
        keep
            Called with the answer before any signal is heard: what was started is to be known of.

        Raises
        ------
        LostAnswerError
            If it is one that must not be asked for twice, and the answer was lost.
        ExpiredError
            If the credentials have expired.
        UsageError
            If EMR does not accept an argument.
        UnavailableError
            If it does not answer, or does not allow it.
        """
        wait = _FIRST_SECONDS
        for left in reversed(range(ATTEMPTS)):
            try:
                with interrupts.uninterrupted() if operation in _ONCE else nullcontext():
                    answer = self._ask_once(operation, arguments)
                    keep(answer)
                return answer
            except (LostAnswerError, _ThrottledError) as error:
                is_done_once = operation in _ONCE and isinstance(error, LostAnswerError)
                if not left or is_done_once:
                    raise
            self.pause(wait)
            wait = min(2 * wait, _MOST_SECONDS)
        raise AssertionError(operation)

    def pages(self, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """Call an operation that lists something, page by page, and give what is below `key`."""
        more: dict[str, Any] = {}
        while True:
            answer = self.ask(operation, **arguments, **more)
            yield from answer.get(key, ())
            more = {name: answer[name] for name in ("Marker", "NextToken") if answer.get(name)}
            if not more:
                return

    def _ask_once(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError
        from botocore.exceptions import ConnectionError as NoConnectionError

        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
        except ClientError as error:
            raise _refused(error, operation) from error
        except (NoConnectionError, HTTPClientError) as error:
            raise LostAnswerError(
                f"EMR did not answer {_spelled(operation)} ({type(error).__name__}); check the network, the region and "
                "AWS_ENDPOINT_URL, and try again"
            ) from error
        except ParamValidationError as error:
            raise UsageError(f"EMR does not take {_line(error)}") from error
        except BotoCoreError as error:
            # its words may hold what a program of the user's printed about credentials
            raise UnavailableError(
                f"expected credentials and settings of AWS that can be used, found {type(error).__name__}; see whether "
                "`aws sts get-caller-identity` works here"
            ) from error
        return answer


def _refused(error: Any, operation: str) -> MrMlError:
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), _line(said.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    what = _spelled(operation)
    if code in _THROTTLED or status == 429:
        return _ThrottledError(f"EMR was asked too often for {what} ({code}), for minutes; try again later")
    if code in _EXPIRED:
        return ExpiredError(
            f"EMR found expired credentials at {what} ({code}); get new ones (aws sso login, or whatever gave them)"
        )
    if code in _UNKNOWN:
        return UnavailableError(
            f"EMR does not know the credentials ({code}); check AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
            "and AWS_SESSION_TOKEN"
        )
    if code in _DENIED:
        return DeniedError(
            f"EMR does not allow elasticmapreduce:{what}: {message}. docs/emr.md has the policy that is needed"
        )
    if code in _WRONG:
        return UsageError(f"EMR refused {what}: {message}")
    if status >= 500 or code.startswith("Internal"):
        return LostAnswerError(f"EMR failed at {what} ({code}): {message}; try again later")
    return UnavailableError(f"EMR refused {what} ({code}): {message}")


def _spelled(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))


def _line(text: object) -> str:
    line = " ".join(str(text).split()).rstrip(".")
    return "".join(letter for letter in line if letter.isprintable())[:_SAID_LETTERS]
