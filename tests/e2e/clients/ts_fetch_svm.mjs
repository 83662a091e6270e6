// npm @x402/fetch with @x402/svm, of both protocol versions: X402_VERSION names the one it speaks. It
// looks at the chain through X402_RPC. Since 2.27 it pays in assets that it knows and in those that it
// is told: in X402_ASSET.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { ExactSvmScheme } from "@x402/svm/exact/client";
import { ExactSvmSchemeV1 } from "@x402/svm/exact/v1/client";
import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";
import { drive } from "./driver.mjs";

const seed = Buffer.from(process.env.X402_PRIVATE_KEY.slice(2), "hex");
const signer = await createKeyPairSignerFromPrivateKeyBytes(seed);
const options = { rpcUrl: process.env.X402_RPC };
const client = new x402Client();
const first = process.env.X402_VERSION === "1";
if (first) client.registerV1("solana-devnet", new ExactSvmSchemeV1(signer, options));
else client.register("solana:*", new ExactSvmScheme(signer, options));
const asset = process.env.X402_ASSET;
const network = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
if (asset) client.setSpendControls({ allowedAssets: [{ network, asset }] });
const receipt = first ? "x-payment-response" : "payment-response";
const asked = first ? onlyFirst : fetch;
await drive("ts-fetch-svm", wrapFetchWithPayment(asked, client), receipt, decodePaymentResponseHeader);

// What a server of version 1 would have answered.
async function onlyFirst(...request) {
  const { body, status, headers } = await fetch(...request);
  const fewer = new Headers(headers);
  fewer.delete("payment-required");
  return new Response(body, { status, headers: fewer });
}
