"""PyPI x402[requests] 2.x: the second protocol, synchronous."""

from driver import ACCOUNT, BODY, HEADERS, METHOD, TIMEOUT_SECONDS, URL, report
from x402 import x402ClientSync
from x402.http.clients import x402_requests
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client


def pay():
    client = x402ClientSync()
    register_exact_evm_client(client, EthAccountSigner(ACCOUNT))
    session = x402_requests(client)
    answer = session.request(METHOD, URL, data=BODY, headers=HEADERS, timeout=TIMEOUT_SECONDS)
    return answer.status_code, answer.headers, answer.content


report("py-requests-v2", "payment-response", pay)
