"""PyPI x402[requests] 2.x: the second protocol, synchronous."""

from driver import BODY, HEADERS, METHOD, TIMEOUT_SECONDS, URL, report
from signer import pays_on_evm
from x402 import x402ClientSync
from x402.http.clients import x402_requests


def pay():
    client = x402ClientSync()
    pays_on_evm(client)
    session = x402_requests(client)
    answer = session.request(METHOD, URL, data=BODY, headers=HEADERS, timeout=TIMEOUT_SECONDS)
    return answer.status_code, answer.headers, answer.content


report("py-requests-v2", "payment-response", pay)
