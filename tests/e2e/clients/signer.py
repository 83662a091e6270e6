"""How the Python drivers of version 2 sign: with X402_RPC they look at the chain as well, and they pay
in assets that they know and in the one that they are told."""

import os

from driver import ACCOUNT
from x402.mechanisms.evm.exact import register_exact_evm_client
from x402.mechanisms.evm.signers import EthAccountSigner, EthAccountSignerWithRPC


def pays_on_evm(client):
    rpc = os.environ.get("X402_RPC")
    signer = EthAccountSignerWithRPC(ACCOUNT, rpc) if rpc else EthAccountSigner(ACCOUNT)
    register_exact_evm_client(client, signer)
    if asset := os.environ.get("X402_ASSET"):
        client.set_spend_controls({"allowed_assets": [{"network": "eip155:84532", "asset": asset}]})
