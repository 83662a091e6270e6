"""What the Python drivers share: arguments in, one JSON line out.

usage: X402_PRIVATE_KEY=0x… python CLIENT.py URL METHOD BODY-FILE CONTENT-TYPE OUT-FILE
"""

import base64
import json
import os
import sys
import traceback
from pathlib import Path

from eth_account import Account

ACCOUNT = Account.from_key(os.environ["X402_PRIVATE_KEY"])
URL, METHOD, BODY_FILE, CONTENT_TYPE, OUT_FILE = sys.argv[1:6]
BODY = Path(BODY_FILE).read_bytes()
HEADERS = {"content-type": CONTENT_TYPE}
TIMEOUT_SECONDS = 60


def report(client, receipt_header, pay):
    """Runs `pay`, which gives (status, headers, body), and prints what happened."""
    result = {"client": client, "status": 0, "paid": False}
    result |= {"transaction": None, "network": None, "payer": None}
    try:
        status, headers, body = pay()
        Path(OUT_FILE).write_bytes(body)
        receipt = json.loads(base64.b64decode(headers.get(receipt_header, "e30=")))
        result |= receipt | {"status": status, "paid": receipt.pop("success", False)}
        result |= {"contentType": headers.get("content-type"), "bodyBytes": len(body)}
        if status >= 400:
            result["error"] = body[:500].decode("utf-8", "replace")
    except Exception:
        result["error"] = traceback.format_exc()
    print(json.dumps(result))
