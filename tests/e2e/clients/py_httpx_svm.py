"""PyPI x402[httpx,svm] 2.x: the second protocol, asynchronous. It looks at the chain through X402_RPC."""

import asyncio
import os

import httpx
from driver import BODY, HEADERS, METHOD, TIMEOUT_SECONDS, URL, report
from solders.keypair import Keypair
from x402 import x402Client
from x402.http.clients import x402_httpx_transport
from x402.mechanisms.svm import KeypairSigner
from x402.mechanisms.svm.exact import register_exact_svm_client


async def pay():
    client = x402Client()
    seed = bytes.fromhex(os.environ["X402_PRIVATE_KEY"][2:])
    signer = KeypairSigner(Keypair.from_seed(seed))
    register_exact_svm_client(client, signer, rpc_url=os.environ["X402_RPC"])
    transport = x402_httpx_transport(client)
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport) as http:
        answer = await http.request(METHOD, URL, content=BODY, headers=HEADERS)
        return answer.status_code, answer.headers, await answer.aread()


report("py-httpx-svm", "payment-response", lambda: asyncio.run(pay()))
