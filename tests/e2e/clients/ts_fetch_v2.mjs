// npm @x402/fetch with @x402/evm: the second protocol only, so that a v1 answer cannot save us. With
// X402_RPC it can look at the chain, and signs an approval by EIP-2612 where one is needed. Since
// 2.27 it pays in assets that it knows and in those that it is told: in X402_ASSET. With X402_WALLET it
// signs for a contract.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { appendPaymentIdentifierToExtensions } from "@x402/extensions/payment-identifier";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { UptoEvmScheme } from "@x402/evm/upto/client";
import { account, drive } from "./driver.mjs";

const options = process.env.X402_RPC ? { rpcUrl: process.env.X402_RPC } : undefined;
const wallet = process.env.X402_WALLET;
const signer = wallet ? { ...account, address: wallet } : account;
const client = new x402Client()
  .register("eip155:*", new ExactEvmScheme(signer, options))
  .register("eip155:*", new UptoEvmScheme(signer, options));
const asset = process.env.X402_ASSET;
if (asset) client.setSpendControls({ allowedAssets: [{ network: "eip155:84532", asset }] });
const name = process.env.X402_PAYMENT_ID;
if (name) {
  client.onBeforePaymentCreation(async ({ paymentRequired }) => {
    appendPaymentIdentifierToExtensions(paymentRequired.extensions, name);
  });
}
await drive("ts-fetch-v2", wrapFetchWithPayment(fetch, client), "payment-response", decodePaymentResponseHeader);
