"""PyPI x402[httpx] 2.x: the second protocol, asynchronous."""

import asyncio
import os

import httpx
from driver import ACCOUNT, BODY, HEADERS, METHOD, TIMEOUT_SECONDS, URL, report
from x402 import x402Client
from x402.extensions.payment_identifier import append_payment_identifier_to_extensions
from x402.http.clients import x402_httpx_transport
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client


async def pay():
    client = x402Client()
    register_exact_evm_client(client, EthAccountSigner(ACCOUNT))
    if name := os.environ.get("X402_PAYMENT_ID"):

        def names(about):
            append_payment_identifier_to_extensions(about.payment_required.extensions, name)

        client.on_before_payment_creation(names)
    transport = x402_httpx_transport(client)
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport) as http:
        answer = await http.request(METHOD, URL, content=BODY, headers=HEADERS)
        return answer.status_code, answer.headers, await answer.aread()


report("py-httpx-v2", "payment-response", lambda: asyncio.run(pay()))
