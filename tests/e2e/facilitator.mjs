// The published TypeScript facilitator (@x402/core, @x402/evm), both protocol versions, on one chain.
//   usage: X402_PRIVATE_KEY=0x… node facilitator.mjs RPC-URL [PORT]
// Prints "listening on 127.0.0.1:PORT" once it serves /verify, /settle and /supported.
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/facilitator";
import { ExactEvmSchemeV1 } from "@x402/evm/exact/v1/facilitator";
import { UptoEvmScheme } from "@x402/evm/upto/facilitator";
import { createWalletClient, http, publicActions } from "viem";
import { nonceManager, privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { serve } from "./facilitator-server.mjs";

const [rpc, port = "0"] = process.argv.slice(2);
const account = privateKeyToAccount(process.env.X402_PRIVATE_KEY, { nonceManager });
const wallet = createWalletClient({ account, chain: baseSepolia, transport: http(rpc), pollingInterval: 20 })
  .extend(publicActions);
const signer = toFacilitatorEvmSigner({ ...wallet, address: account.address });
// The proxy of `upto` lets nobody else settle, and nobody else simulate.
const readContract = (args) => wallet.readContract({ account, ...args });
const settler = toFacilitatorEvmSigner({ ...wallet, readContract, address: account.address });
const facilitator = new x402Facilitator()
  .register("eip155:84532", new ExactEvmScheme(signer))
  .register("eip155:84532", new UptoEvmScheme(settler))
  .registerV1(["base-sepolia"], new ExactEvmSchemeV1(signer));
serve(facilitator, port);
