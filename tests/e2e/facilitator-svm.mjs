// The published TypeScript facilitator (@x402/core, @x402/svm), both protocol versions, on one node.
//   usage: X402_PRIVATE_KEY=0x… node facilitator-svm.mjs RPC-URL [PORT]
// Prints "listening on 127.0.0.1:PORT" once it serves /verify, /settle and /supported.
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorSvmSigner } from "@x402/svm";
import { ExactSvmScheme } from "@x402/svm/exact/facilitator";
import { ExactSvmSchemeV1 } from "@x402/svm/exact/v1/facilitator";
import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";
import { serve } from "./facilitator-server.mjs";

const [rpc, port = "0"] = process.argv.slice(2);
const seed = Buffer.from(process.env.X402_PRIVATE_KEY.slice(2), "hex");
const key = await createKeyPairSignerFromPrivateKeyBytes(seed);
const signer = toFacilitatorSvmSigner(key, { defaultRpcUrl: rpc });
const facilitator = new x402Facilitator()
  .register("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", new ExactSvmScheme(signer))
  .registerV1(["solana-devnet"], new ExactSvmSchemeV1(signer));
serve(facilitator, port);
