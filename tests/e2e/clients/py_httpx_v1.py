"""PyPI x402 1.0.0: the first protocol, the strictest reader of its 402 body."""

import asyncio

import httpx
from driver import ACCOUNT, BODY, HEADERS, METHOD, TIMEOUT_SECONDS, URL, report
from x402.clients.httpx import x402_payment_hooks


async def pay():
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
        http.event_hooks = x402_payment_hooks(ACCOUNT)
        answer = await http.request(METHOD, URL, content=BODY, headers=HEADERS)
        return answer.status_code, answer.headers, await answer.aread()


report("py-httpx-v1", "x-payment-response", lambda: asyncio.run(pay()))
